// The selected item, the path of a request, and the messages in view as a table.

const MOST_ROWS = 200;
const MOST_CARRIED = 12;
const MOST_BODY = 20_000;

class Details {
    constructor(app) {
        this.app = app;
        this.table = element("view-table");
        element("view-box").addEventListener("toggle", () => this.showView());
    }

    /** Show the selected item and the path; `null` shows how to begin. */
    show() {
        const { selected, path } = this.app;
        element("nothing").hidden = Boolean(selected || path);
        element("item").hidden = !selected;
        if (selected) this.#showItem(selected);
        element("path").hidden = !path;
        if (path) this.#showPath(path);
        element("status").textContent = selected
            ? describeItem(this.app.run, selected)
            : "Nothing is selected.";
    }

    #showItem(item) {
        const { run } = this.app;
        const [title, facts, body] = this.#factsOf(item);
        element("item-title").textContent = title;
        element("item-facts").replaceChildren(
            ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
        );
        element("item-body").hidden = !body;
        element("item-body").textContent = body.length > MOST_BODY ? `${body.slice(0, MOST_BODY)}…` : body;
        const carried = item.kind === "message" ? requestsIn(run, item.index).slice(0, MOST_CARRIED) : [];
        element("item-requests").replaceChildren(...carried.map((operation) => this.#pathButton(operation)));
        element("item-zoom").onclick = () => this.app.zoomTo(...spanOf(run, item));
    }

    #pathButton(operation) {
        const { run } = this.app;
        const name = `Path of ${nameOf(run, operation)}`;
        const button = make("button", { type: "button" }, name);
        button.addEventListener("click", () => this.app.showPath(operation));
        return button;
    }

    #factsOf(item) {
        const { run } = this.app;
        const { index } = item;
        if (item.kind === "message")
            return [run.types[run.type[index]], this.#messageFacts(index), this.#bodies(index)];
        if (item.kind === "operation") return this.#operationFacts(index);
        if (item.kind === "line") {
            const [time, process, stream, text] = run.output[index];
            return [
                `Output of ${process}`,
                [
                    ["printed", formatTime(time)],
                    ["stream", stream === "err" ? "error output" : "output"],
                ],
                text,
            ];
        }
        const [time, kind, data] = item.kind === "event" ? run.events[index] : run.faults[index];
        const text = item.kind === "event" ? describeEvent(run.events[index]) : kind;
        return [
            item.kind === "event" ? "Event" : "Fault",
            [
                ["at", formatTime(time)],
                ["what", text.split("\n")[0]],
            ],
            item.kind === "event" ? JSON.stringify(data, null, 2) : text,
        ];
    }

    /** The body of a message as it was sent, and as it arrived if the network changed it. */
    #bodies(message) {
        const { run } = this.app;
        const arrived = (run.changed.get(message) ?? []).map((body) => `\n\nIt arrived as:\n${body}`);
        return [prettyBody(run.bodyText(message)), ...arrived].join("");
    }

    #messageFacts(message) {
        const { run } = this.app;
        const facts = [
            ["from", run.processes[run.from[message]]],
            ["to", run.processes[run.to[message]]],
            ["sent", formatTime(run.sent[message])],
            ["fate", describeFate(run, message)],
        ];
        if (run.leader[message]) facts.push(["leader", run.leaders[run.leader[message]]]);
        if (run.term[message]) facts.push(["term", String(run.term[message])]);
        return facts;
    }

    #operationFacts(operation) {
        const { run } = this.app;
        const [call, answer] = run.call(operation);
        const facts = [
            ["client", run.processes[run.client[operation]]],
            ["MID", run.mids[run.operationMid[operation]]],
            ["sent", formatTime(run.invoked[operation])],
            [
                "end",
                run.isOver(operation)
                    ? `${run.outcomes[run.outcome[operation]]} at ${formatTime(run.returned(operation))}`
                    : "no answer",
            ],
            [
                "took",
                run.isOver(operation) ? formatDuration(run.took[operation]) : "until the end of the run",
            ],
        ];
        return [
            `${run.kinds[run.kind[operation]]} ${shortKey(call.key ?? "")}`,
            facts,
            JSON.stringify({ call, answer }, null, 2),
        ];
    }

    #showPath(path) {
        const { run } = this.app;
        const attempts = path.attempts.length > 1 ? `, ${path.attempts.length} attempts` : "";
        element("path-title").textContent =
            path.title ?? `Path of ${describeOperation(run, path.attempts.at(-1))}${attempts}`;
        const rows = path.steps
            .slice(0, MOST_ROWS)
            .map(({ message, role }) => [
                `+${formatDuration(run.sent[message] - path.from)}`,
                this.#messageButton(message),
                `${run.processes[run.from[message]]} → ${run.processes[run.to[message]]}`,
                describeFate(run, message),
                ROLES[role],
            ]);
        fillTable(element("path-table"), ["Sent", "Message", "From, to", "Fate", "Part"], rows);
        element("path-zoom").onclick = () => this.app.zoomTo(path.from, path.to);
        const left = path.steps.length - MOST_ROWS;
        element("path-more").textContent = left > 0 ? `and ${formatCount(left)} more` : "";
    }

    #messageButton(message) {
        const { run, selected } = this.app;
        const isChosen = selected?.kind === "message" && selected.index === message;
        const button = make(
            "button",
            { type: "button", className: "link plain" },
            run.types[run.type[message]],
        );
        if (isChosen) button.setAttribute("aria-current", "true");
        button.addEventListener("click", () =>
            this.app.select({ kind: "message", index: message }, { keepPath: true }),
        );
        return button;
    }

    /** The messages in view as a table, as far as it is open. */
    showView() {
        if (!element("view-box").open) return;
        const { run, view } = this.app;
        const [low, high] = run.range(view.from, view.to);
        const rows = [];
        let count = 0;
        for (let i = low; i < high; i++) {
            if (run.arrives[i] < view.from || this.app.hidden.has(this.app.groups.of[run.type[i]])) continue;
            if (count++ < MOST_ROWS) rows.push(i);
        }
        element("view-count").textContent =
            count > MOST_ROWS ? `the first ${MOST_ROWS} of ${formatCount(count)}` : formatCount(count);
        fillTable(
            this.table,
            ["Sent", "Message", "From", "To", "Fate"],
            rows.map((i) => [
                formatTime(run.sent[i]),
                this.#messageButton(i),
                run.processes[run.from[i]],
                run.processes[run.to[i]],
                describeFate(run, i),
            ]),
        );
    }
}

// The verdict, the tiers, the checks, and where in the diagram each of them leads.

const TIER_NAMES = {
    total_msgs: "Messages between replicas",
    failures: "Failures and unanswered requests",
    duplicates: "Duplicate responses",
    median_latency: "Median latency",
};
const MOST_FAULTS = 50;

class Summary {
    constructor(app) {
        this.app = app;
        this.end = app.run.end ?? {};
        this.#showHead();
        this.#showVerdict();
        this.#showTiers();
        this.#showFigures();
        this.#showFaults();
        this.#showChecks();
        this.#showEvents();
    }

    #showHead() {
        const { head, damage } = this.app.run;
        element("scenario").textContent = head.scenario ?? "A run";
        const facts = [
            ["seed", head.seed],
            ["replicas", head.replicas?.length],
            ["replica", head.replica],
            ["from", head.source],
        ];
        for (const [name, value] of facts) {
            if (value === undefined) continue;
            element("head-facts").append(make("span", {}, make("b", {}, `${name} `), String(value)));
        }
        element("command").textContent = head.command ?? "";
        element("again").hidden = !head.command;
        element("damage").hidden = !damage;
        element("damage").textContent = damage ? `The trace is damaged or incomplete. ${damage}.` : "";
        const left = Object.entries(this.app.run.leftOut).filter(([, count]) => count);
        element("left-out").hidden = !left.length;
        element("left-out").textContent = `The page has the first of many. Only the trace has the other ${left
            .map(([what, count]) => `${formatCount(count)} ${what}`)
            .join(" and ")}.`;
        element("settings").textContent = JSON.stringify(head.settings ?? {}, null, 2);
    }

    #showVerdict() {
        const { end } = this;
        const failed = (end.checks ?? []).filter((check) => !check.passed);
        const [name, mark] = { passed: ["Passed", "✓"], failed: ["Failed", "✕"] }[end.verdict] ?? [
            "No verdict",
            "?",
        ];
        const verdict = element("verdict");
        verdict.className = `verdict ${end.verdict ?? "open"}`;
        verdict.append(make("span", { className: "mark", ariaHidden: "true" }, mark), make("h2", {}, name));
        const story = failed.length
            ? `${plural(failed.length, "check")} of ${(end.checks ?? []).length} failed.`
            : end.verdict === "passed"
              ? `${plural((end.checks ?? []).length, "check")} held, none failed.`
              : "The run has no end, so nothing was judged.";
        const linearizable = {
            linearizable: " The history is linearizable.",
            unknown: " Whether the history is linearizable is unknown.",
        };
        verdict.append(make("p", {}, story + (linearizable[end.linearizability?.verdict] ?? "")));
        for (const check of failed) element("failures").append(this.#failure(check));
    }

    #failure(check) {
        const [first, ...rest] = (check.text || check.name).split("\n");
        const place = this.#placeOf(check);
        const title = make("h3", {}, first.startsWith(check.name) ? first : `${check.name}: ${first}`);
        const parts = [title];
        if (place) parts.push(this.#link("Show it in the diagram", place, "primary"));
        const mids = /linearizab/i.test(check.name) ? this.#operations(this.end.linearizability?.mids) : [];
        for (const operation of mids) {
            const name = `${this.app.run.kinds[this.app.run.kind[operation]]} ${this.app.run.mids[this.app.run.operationMid[operation]]}`;
            parts.push(
                this.#link(name, { ...this.#placeOfOperations([operation], mids), withPath: true }, "small"),
            );
        }
        const story = rest.join("\n").trim();
        if (story) parts.push(make("pre", { tabIndex: 0 }, story));
        return make("article", { className: "failure" }, ...parts);
    }

    #link(text, place, className) {
        const link = make("button", { type: "button", className: `link ${className}` }, text);
        link.addEventListener("click", () => this.app.showPlace(place));
        return link;
    }

    #operations(mids) {
        const { run } = this.app;
        const numbers = (mids ?? []).map((mid) => run.operationOf.get(run.mids.indexOf(mid)));
        return numbers.filter((number) => number !== undefined).sort((a, b) => a - b);
    }

    #placeOfOperations(operations, marked = operations) {
        const { run } = this.app;
        if (!operations.length) return null;
        return {
            from: Math.min(...operations.map((i) => run.invoked[i])),
            to: Math.max(...operations.map((i) => run.returned(i))),
            marked,
            item: { kind: "operation", index: Math.max(...operations) },
        };
    }

    /** Where a failed check shows: its operations, its fault, its event. `null`: no place in particular. */
    #placeOf(check) {
        const { run } = this.app;
        if (/linearizab/i.test(check.name))
            return this.#placeOfOperations(this.#operations(this.end.linearizability?.mids));
        if (/incorrect/i.test(check.name) && run.faults.length) return this.#placeOfFault(0);
        if (/died/i.test(check.name)) return this.#placeOfEvent(([, kind]) => kind === "end");
        if (/generated/i.test(check.name))
            return this.#placeOfEvent(([, kind, data]) => kind === "no_get" && data.withheld);
        if (/seconds/i.test(check.name))
            return { from: run.finish - SECOND, to: run.finish, marked: [], item: null };
        if (/unanswered|acknowledged/i.test(check.name)) {
            const open = requestsOf(run)
                .filter((one) => !one.isAnswered)
                .map((one) => one.last);
            const some = /get/.test(check.name) ? open.filter((i) => run.kinds[run.kind[i]] === "get") : open;
            return this.#placeOfOperations(some.slice(0, 1), some);
        }
        const fault = run.faults.findIndex(([, text]) => check.text && text.startsWith(check.text));
        return fault < 0 ? null : this.#placeOfFault(fault);
    }

    #placeOfEvent(isMeant) {
        const index = this.app.run.events.findIndex(isMeant);
        if (index < 0) return null;
        const [time] = this.app.run.events[index];
        return {
            from: time - 100 * MILLISECOND,
            to: time + 100 * MILLISECOND,
            marked: [],
            item: { kind: "event", index },
        };
    }

    #placeOfFault(index) {
        const [time, , data] = this.app.run.faults[index];
        const operations = this.#operations(data.mids);
        const place = this.#placeOfOperations(operations) ?? {
            from: time - 5 * MILLISECOND,
            to: time + 5 * MILLISECOND,
            marked: [],
        };
        return { ...place, item: { kind: "fault", index } };
    }

    #showTiers() {
        const tiers = this.end.tiers ?? [];
        element("tiers").hidden = !tiers.length;
        for (const { metric, value, benchmark, tier, verdict } of tiers) {
            const shown = metric === "median_latency" ? formatDuration(value * SECOND) : formatCount(value);
            const limit =
                metric === "median_latency" ? formatDuration(benchmark * SECOND) : formatCount(benchmark);
            element("tiers").append(
                make(
                    "div",
                    { className: `tier tier${tier}` },
                    make("p", { className: "label" }, TIER_NAMES[metric] ?? metric),
                    make("p", { className: "value" }, shown),
                    make(
                        "p",
                        { className: "limit" },
                        `${value < benchmark ? "below" : "not below"} ${limit}`,
                    ),
                    make("p", { className: "grade" }, verdict),
                ),
            );
        }
    }

    #showFigures() {
        const { run, periods } = this.app;
        let lost = 0;
        const reasons = new Map();
        for (let i = 0; i < run.sent.length; i++) {
            if (!run.isLost(i)) continue;
            lost++;
            const why = run.reasons[run.fate[i] - FIRST_REASON];
            reasons.set(why, (reasons.get(why) ?? 0) + 1);
        }
        const requests = requestsOf(run);
        const answered = requests.filter((one) => one.isAnswered).length;
        const why = [...reasons]
            .sort((a, b) => b[1] - a[1])
            .map(([reason, count]) => `${reason} ${formatCount(count)}`)
            .join(", ");
        const figures = [
            ["Messages", formatCount(run.sent.length), "with those of clients"],
            ["Lost", formatCount(lost), why || "none"],
            ["Requests", formatCount(requests.length), `${formatCount(answered)} answered with ok`],
            ["Leaderships", formatCount(periods.leaderships().length), "as the replicas say"],
            ["Length", formatTime(run.finish, SECOND / 10), "since all replicas joined"],
        ];
        for (const [label, value, note] of figures) {
            element("figures").append(
                make("div", {}, make("dt", {}, label), make("dd", {}, value, make("small", {}, note))),
            );
        }
    }

    #showFaults() {
        const { faults } = this.app.run;
        element("faults").hidden = !faults.length;
        faults.slice(0, MOST_FAULTS).forEach(([time, text], index) => {
            element("faults-list").append(
                make(
                    "li",
                    {},
                    make("span", { className: "time" }, formatTime(time, MILLISECOND)),
                    this.#link(text.split("\n")[0], this.#placeOfFault(index), "plain"),
                ),
            );
        });
        const left = faults.length - MOST_FAULTS;
        if (left > 0) element("faults-list").append(make("li", {}, `and ${formatCount(left)} more`));
    }

    #showChecks() {
        const checks = this.end.checks ?? [];
        element("checks-box").hidden = !checks.length;
        fillTable(
            element("checks"),
            ["Check", "Holds"],
            checks.map((check) => [check.name, check.passed ? "✓ yes" : "✕ no"]),
        );
    }

    #showEvents() {
        const { run } = this.app;
        const rows = run.events
            .map((event, index) => ({ event, index }))
            .filter(({ event }) => !MINOR_EVENTS.has(event[1]));
        element("events-box").hidden = !rows.length;
        fillTable(
            element("events"),
            ["Time", "Event"],
            rows.map(({ event, index }) => [
                formatTime(event[0], MILLISECOND),
                this.#link(
                    describeEvent(event),
                    {
                        from: event[0] - 50 * MILLISECOND,
                        to: event[0] + 200 * MILLISECOND,
                        marked: [],
                        item: { kind: "event", index },
                    },
                    "plain",
                ),
            ]),
        );
    }
}

function element(id) {
    return document.getElementById(id);
}

/** A new element with properties and children. Text goes in as text: a replica may send anything. */
function make(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
}

/** A table with a head and rows of texts or elements. */
function fillTable(table, heads, rows) {
    const head = make(
        "thead",
        {},
        make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))),
    );
    const body = make(
        "tbody",
        {},
        ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))),
    );
    table.replaceChildren(head, body);
}

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
        this.places = new Places(app.run);
        this.#showHead();
        this.#showVerdict();
        this.#showAdvice();
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
        const [look, mark, name] = this.#nameOfVerdict();
        const verdict = element("verdict");
        verdict.className = `verdict ${look}`;
        verdict.append(make("span", { className: "mark", ariaHidden: "true" }, mark), make("h2", {}, name));
        const linearizable = {
            linearizable: " The history is linearizable.",
            unknown: " Whether the history is linearizable is unknown.",
        };
        const story = this.#storyOfVerdict(failed);
        verdict.append(make("p", {}, story + (linearizable[end.linearizability?.verdict] ?? "")));
        for (const check of failed) element("failures").append(this.#failure(check));
    }

    /** A run that did not start has nothing but the faults that say why. */
    get #hasNotStarted() {
        const { faults, sent } = this.app.run;
        return !this.end.verdict && faults.length > 0 && !sent.length;
    }

    #nameOfVerdict() {
        if (this.#hasNotStarted) return ["failed", "✕", "Did not start"];
        return (
            { passed: ["passed", "✓", "Passed"], failed: ["failed", "✕", "Failed"] }[this.end.verdict] ?? [
                "open",
                "?",
                "No verdict",
            ]
        );
    }

    #storyOfVerdict(failed) {
        const checks = this.end.checks ?? [];
        if (this.#hasNotStarted) return oneLine(this.app.run.faults[0][1]);
        if (failed.length) return `${plural(failed.length, "check")} of ${checks.length} failed.`;
        if (this.end.verdict === "passed") return `${plural(checks.length, "check")} held, none failed.`;
        return "The run has no end, so nothing was judged.";
    }

    #failure(check) {
        const [first, ...rest] = (check.text || check.name).split("\n");
        const place = this.places.ofCheck(check);
        const title = make("h3", {}, first.startsWith(check.name) ? first : `${check.name}: ${first}`);
        const parts = [title];
        if (place) parts.push(this.#link("Show it in the diagram", place, "primary"));
        const story = rest.join("\n").trim();
        if (story) parts.push(make("pre", { tabIndex: 0 }, story));
        return make("article", { className: "failure" }, ...parts);
    }

    #link(text, place, className) {
        const link = make("button", { type: "button", className: `link ${className}` }, text);
        link.addEventListener("click", () => this.app.showPlace(place));
        return link;
    }

    /** What probably is wrong with the replica, each with its place if it has one. */
    #showAdvice() {
        const { advice } = this.app.run;
        element("advice").hidden = !advice.length;
        for (const one of advice) {
            const place = this.places.ofAdvice(one);
            const parts = place ? [this.#link("Show it", place, "small")] : [];
            element("advice-list").append(make("li", {}, `${one.text} `, ...parts));
        }
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
                    this.#link(oneLine(text), this.places.ofFault(index), "plain"),
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
        const rows = run.events.map((_, index) => index).filter((index) => !isMinor(run, index));
        element("events-box").hidden = !rows.length;
        fillTable(
            element("events"),
            ["Time", "Event"],
            rows.map((index) => [
                formatTime(run.events[index][0], MILLISECOND),
                this.#link(
                    textOf(run, index),
                    this.places.ofEvent(index, 50 * MILLISECOND, 200 * MILLISECOND),
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

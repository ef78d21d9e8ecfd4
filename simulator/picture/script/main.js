// Starts the page, and holds the state that its parts share.

const MOST_STEPS = 12;

class App {
    constructor(run) {
        this.run = run;
        this.groups = new Groups(run);
        this.periods = new Periods(run);
        this.layout = new Layout(run);
        this.view = new View(run);
        this.hidden = new Set();
        this.selected = null;
        this.path = null;
        this.hovered = null;
        this.marked = [];
        this.place = null;
        this.focusLane = -1;
        this.query = "";
        this.hits = new Hits(run);
        this.hit = -1;
        this.palette = readPalette();
        this.diagram = new Diagram(this, element("diagram"), element("overview"));
        this.charts = new Charts(this);
        this.details = new Details(this);
        this.summary = new Summary(this);
        this.interaction = new Interaction(this);
        this.#showLegend();
        this.details.show();
        this.resize();
    }

    /** Draw soon: once per frame, however often it is asked for. */
    redraw() {
        this.frame ??= requestAnimationFrame(() => {
            this.frame = null;
            this.diagram.draw();
            this.#showWindow();
        });
    }

    /** The view has changed. */
    moved() {
        this.redraw();
        clearTimeout(this.settling);
        this.settling = setTimeout(() => this.details.showView(), 150);
    }

    /** The size or the colours of the page have changed. */
    resize() {
        this.palette = readPalette();
        this.diagram.reset();
        this.charts.draw();
        this.diagram.draw();
        this.#showWindow();
    }

    select(item, { keepPath = false, reveal = false } = {}) {
        this.selected = item;
        if (!keepPath) this.path = this.#pathOfItem(item);
        if (reveal) this.#reveal(item);
        this.details.show();
        this.moved();
    }

    #pathOfItem(item) {
        if (item.kind === "operation") return pathOf(this.run, item.index);
        if (item.kind !== "message" || !this.run.mid[item.index]) return null;
        return pathOf(this.run, this.run.operationOf.get(this.run.mid[item.index]));
    }

    showPath(operation) {
        this.path = pathOf(this.run, operation);
        this.zoomTo(this.path.from, this.path.to);
        this.details.show();
    }

    clear() {
        this.selected = null;
        this.path = null;
        this.marked = [];
        this.#showCase(null);
        element("query").value = "";
        this.search("");
        this.details.show();
    }

    /** Show a part of the time with a margin, and the diagram if it is out of sight. */
    zoomTo(from, to, margin = 0.25) {
        const least = Math.max(to - from, this.run.typicalDelay * 4);
        const middle = (from + to) / 2;
        const half = least / 2 + least * margin;
        this.view.show(middle - half, middle + half);
        this.moved();
    }

    /** Show the place of a check, fault, event or piece of advice, with its words and its messages. */
    showPlace(place) {
        this.marked = place.marked;
        this.selected = place.item;
        this.focusLane = place.replica ?? -1;
        this.path = pathOfPlace(this.run, place);
        this.#showCase(place);
        this.details.show();
        this.zoomTo(place.from, place.to);
        const { top } = element("space-time").getBoundingClientRect();
        const { bottom } = this.diagram.canvas.getBoundingClientRect();
        const isLow = bottom - top > window.innerHeight;
        element(isLow && place.words ? "case" : "space-time").scrollIntoView({ block: "start" });
        this.diagram.canvas.focus({ preventScroll: true });
    }

    /** The words of a place above the diagram, and a button for each of its requests. */
    #showCase(place) {
        this.place = place;
        const words = place?.words ?? [];
        element("case").hidden = !words.length;
        element("case-words").replaceChildren(...words.map((sentence) => make("p", {}, sentence)));
        const marked = words.length ? place.marked.slice(-MOST_STEPS) : [];
        const all = make("button", { type: "button" }, "All of it");
        all.addEventListener("click", () => this.showPlace(place));
        const steps = marked.map((operation) => this.#stepButton(operation));
        element("case-steps").replaceChildren(...steps, ...(steps.length > 1 ? [all] : []));
    }

    #stepButton(operation) {
        const { run } = this;
        const button = make(
            "button",
            { type: "button" },
            make("b", {}, describeCall(run, operation)),
            make("small", {}, ` ${describeEnd(run, operation)}`),
        );
        button.addEventListener("click", () => {
            this.selected = { kind: "operation", index: operation };
            this.showPath(operation);
        });
        return button;
    }

    /** Move an item into view, near enough for a message to be an arrow of its own. */
    #reveal(item) {
        const { run, view } = this;
        const [from, to] = spanOf(run, item);
        const isOutside = to < view.from || from > view.to;
        if (from === to && item.kind !== "message") {
            if (isOutside) view.show(from - view.span / 2, from + view.span / 2);
            return;
        }
        const isTiny = ((to - from) / view.span) * this.layout.plotWidth < 3;
        if (this.diagram.isDense || isOutside || isTiny) this.zoomTo(from, to, 4);
    }

    search(query) {
        this.query = query;
        this.hits = search(this.run, query);
        this.hit = -1;
        for (const id of ["next", "previous"]) element(id).disabled = !this.hits.length;
        element("hits").textContent = query.trim() && !this.hits.length ? "Nothing matches." : "";
        this.redraw();
        if (this.hits.length) this.nextHit(1);
    }

    nextHit(by) {
        const { hits } = this;
        if (!hits.length) return;
        const next = this.hit < 0 ? hits.firstFrom(this.view.from) : this.hit + by;
        this.hit = (next + hits.length) % hits.length;
        const several = hits.messages.length && hits.records.length ? `${formatCount(hits.length)}: ` : "";
        element("hits").textContent = `${formatCount(this.hit + 1)} of ${several}${hits.describe()}`;
        this.select(hits.item(this.hit), { reveal: true });
    }

    #showLegend() {
        element("charts").hidden = !this.run.sent.length;
        element("legend-peers-row").hidden = !this.groups.all.some((group) => !group.withClients);
        element("legend-clients-row").hidden = !this.groups.all.some((group) => group.withClients);
        for (const group of this.groups.all) {
            const swatch = make("i", { className: "swatch" });
            swatch.style.background = `var(--${group.colour})`;
            const button = make(
                "button",
                { type: "button", title: group.names.join(", ") },
                swatch,
                `${group.label} `,
                make("small", {}, formatCount(group.count)),
            );
            button.setAttribute("aria-pressed", "true");
            button.addEventListener("click", () => this.#toggle(group, button));
            element(group.withClients ? "legend-clients" : "legend-peers").append(button);
        }
    }

    #toggle(group, button) {
        const isShown = this.hidden.delete(group.number);
        if (!isShown) this.hidden.add(group.number);
        button.setAttribute("aria-pressed", String(isShown));
        this.moved();
    }

    /** The part of the time that the diagram shows, in the charts over time. */
    #showWindow() {
        const { run, view } = this;
        for (const name of ["latency", "rates"]) {
            const width = element(name).clientWidth - PLOT.left - PLOT.right;
            const place = (time) =>
                Math.min(1, Math.max(0, (time - run.start) / (run.finish - run.start))) * width;
            const window = element(`${name}-window`);
            window.hidden = view.from <= run.start && view.to >= run.finish;
            window.style.left = `${PLOT.left + place(view.from)}px`;
            window.style.width = `${Math.max(2, place(view.to) - place(view.from))}px`;
            window.style.height = `${element(name).clientHeight - PLOT.bottom}px`;
        }
        element("span").textContent =
            `${formatTime(Math.max(view.from, run.start), view.span / 100)} to ${formatTime(Math.min(view.to, run.finish), view.span / 100)}`;
    }
}

function followTheme(app) {
    const choice = element("theme");
    choice.value = theme.choice;
    choice.addEventListener("change", () => theme.choose(choice.value));
    theme.onChange = () => app.resize();
}

async function start() {
    const app = new App(await readRun());
    followTheme(app);
    window.picture = app;
    let { innerWidth } = window;
    new ResizeObserver(() => app.resize()).observe(element("diagram").parentElement);
    window.addEventListener("resize", () => {
        if (window.innerWidth !== innerWidth) app.resize();
        innerWidth = window.innerWidth;
    });
    document.documentElement.dataset.ready = "yes";
    performance.mark("drawn");
}

start().catch((error) => {
    element("damage").hidden = false;
    element("damage").textContent =
        `The page cannot show the run: ${error.message}. It needs a browser of 2023 or newer.`;
    throw error;
});

// Starts the page, and holds the state that its parts share.

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
        this.focusLane = -1;
        this.query = "";
        this.hits = new Uint32Array();
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

    /** Show where a check failed: its operations outlined, and with `withPath` what one of them did. */
    showPlace({ from, to, marked, item, withPath = false }) {
        this.marked = marked;
        this.path = null;
        this.selected = item;
        if (item) this.select(item, { keepPath: !withPath });
        this.zoomTo(from, to);
        element("space-time").scrollIntoView({ block: "start" });
        this.diagram.canvas.focus({ preventScroll: true });
    }

    /** Move an item into view, near enough for it to be an arrow of its own. */
    #reveal(item) {
        const [from, to] = spanOf(this.run, item);
        const isFar = this.diagram.isDense || to < this.view.from || from > this.view.to;
        const isTiny = ((to - from) / this.view.span) * this.layout.plotWidth < 3;
        if (isFar || isTiny) this.zoomTo(from, to, 4);
    }

    search(query) {
        this.query = query;
        this.hits = search(this.run, query);
        this.hit = -1;
        const isEmpty = !query.trim();
        for (const id of ["next", "previous"]) element(id).disabled = !this.hits.length;
        element("hits").textContent = isEmpty
            ? ""
            : this.hits.length
              ? plural(this.hits.length, "message")
              : "No message matches.";
        this.redraw();
        if (this.hits.length) this.nextHit(1);
    }

    nextHit(by) {
        if (!this.hits.length) return;
        const from = lowerBound(this.hits, lowerBound(this.run.sent, this.view.from));
        const next = this.hit < 0 ? from : this.hit + by;
        this.hit = (next + this.hits.length) % this.hits.length;
        element("hits").textContent =
            `${formatCount(this.hit + 1)} of ${plural(this.hits.length, "message")}`;
        this.select({ kind: "message", index: this.hits[this.hit] }, { reveal: true });
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

/** The theme of the page: that of the system, or the one that was chosen here before. */
function watchTheme(onChange) {
    const choice = element("theme");
    const apply = (theme) => {
        document.documentElement.dataset.theme = theme;
        onChange();
    };
    try {
        choice.value = localStorage.getItem("theme") ?? "auto";
    } catch {
        choice.value = "auto";
    }
    choice.addEventListener("change", () => {
        try {
            localStorage.setItem("theme", choice.value);
        } catch {
            // A page from a file may have no storage. Then the choice lasts as long as the page.
        }
        apply(choice.value);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
    window.addEventListener("beforeprint", () => apply("light"));
    window.addEventListener("afterprint", () => apply(choice.value));
    document.documentElement.dataset.theme = choice.value;
}

async function start() {
    let app = null;
    watchTheme(() => app?.resize());
    app = new App(await readRun());
    window.picture = app;
    let { innerWidth } = window;
    new ResizeObserver(() => app.resize()).observe(element("diagram").parentElement);
    window.addEventListener("resize", () => {
        if (window.innerWidth !== innerWidth) app.resize();
        innerWidth = window.innerWidth;
    });
    document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
    element("damage").hidden = false;
    element("damage").textContent =
        `The page cannot show the run: ${error.message}. It needs a browser of 2023 or newer.`;
    throw error;
});

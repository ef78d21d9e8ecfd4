// Mouse, touch and keyboard.

const ZOOM_STEP = 1.5;
const CLICK_PIXELS = 5;
const TAP_ZOOM = 0.25;

class Interaction {
    constructor(app) {
        this.app = app;
        this.canvas = app.diagram.canvas;
        this.pointers = new Map();
        this.#listenToPointers();
        this.#listenToWheel();
        this.#listenToOverview();
        this.#listenToButtons();
        this.#listenToSearch();
        this.canvas.addEventListener("keydown", (event) => this.#press(event));
        for (const name of ["focus", "blur"]) this.canvas.addEventListener(name, () => app.redraw());
    }

    #listenToPointers() {
        const { canvas } = this;
        canvas.addEventListener("pointerdown", (event) => this.#grab(event));
        canvas.addEventListener("pointermove", (event) => this.#move(event));
        for (const name of ["pointerup", "pointercancel"])
            canvas.addEventListener(name, (event) => this.#release(event));
        canvas.addEventListener("pointerleave", () => this.#hideTip());
        canvas.addEventListener("dblclick", (event) => {
            this.app.view.zoom(TAP_ZOOM, this.app.layout.time(this.app.view, event.offsetX));
            this.app.moved();
        });
    }

    #grab(event) {
        this.canvas.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, {
            x: event.offsetX,
            y: event.offsetY,
            startX: event.offsetX,
            startY: event.offsetY,
        });
        this.hasDragged = this.pointers.size > 1;
        this.#hideTip();
    }

    #move(event) {
        const pointer = this.pointers.get(event.pointerId);
        if (!pointer) {
            if (event.pointerType === "mouse") this.#hover(event.offsetX, event.offsetY);
            return;
        }
        const before = this.#pinch();
        const moved = event.offsetX - pointer.x;
        Object.assign(pointer, { x: event.offsetX, y: event.offsetY });
        if (Math.abs(pointer.x - pointer.startX) > CLICK_PIXELS) this.hasDragged = true;
        if (!this.hasDragged) return;
        const { view, layout } = this.app;
        const after = this.#pinch();
        if (before) {
            view.zoom(before.width / after.width, layout.time(view, before.middle));
            view.pan(((before.middle - after.middle) / layout.plotWidth) * view.span);
        } else {
            view.pan((-moved / layout.plotWidth) * view.span);
        }
        this.app.moved();
    }

    /** The middle and the distance of two fingers, or `null`. */
    #pinch() {
        if (this.pointers.size !== 2) return null;
        const [a, b] = this.pointers.values();
        return { middle: (a.x + b.x) / 2, width: Math.max(10, Math.hypot(a.x - b.x, a.y - b.y)) };
    }

    #release(event) {
        const pointer = this.pointers.get(event.pointerId);
        this.pointers.delete(event.pointerId);
        if (!pointer || this.hasDragged || event.type === "pointercancel") return;
        const item = this.app.diagram.itemAt(pointer.x, pointer.y);
        this.app.focusLane = this.app.layout.replicaAt(pointer.y);
        if (item) this.app.select(item);
        else if (event.pointerType !== "mouse") this.#hover(pointer.x, pointer.y);
        else this.app.redraw();
    }

    #hover(x, y) {
        const { app } = this;
        const item = app.diagram.itemAt(x, y);
        const text = item ? describeItem(app.run, item) : app.diagram.densityAt(x, y);
        this.canvas.style.cursor = item ? "pointer" : "grab";
        this.#markHovered(item);
        if (!text) {
            this.#hideTip();
            return;
        }
        const body = item?.kind === "message" ? app.run.bodyText(item.index) : "";
        const tip = element("tip");
        tip.replaceChildren(
            make("b", {}, text),
            ...(body ? [make("code", {}, body.length > 400 ? `${body.slice(0, 400)}…` : body)] : []),
        );
        tip.hidden = false;
        const left = Math.min(x + 14, this.canvas.clientWidth - tip.offsetWidth - 4);
        tip.style.transform = `translate(${Math.max(4, left)}px, ${y + 18}px)`;
    }

    #markHovered(item) {
        if (item?.index === this.app.hovered?.index && item?.kind === this.app.hovered?.kind) return;
        this.app.hovered = item;
        this.app.redraw();
    }

    #hideTip() {
        this.#markHovered(null);
        element("tip").hidden = true;
    }

    /** The wheel zooms once the diagram has the focus, so that it does not hold up a scrolling page. */
    #listenToWheel() {
        this.canvas.addEventListener(
            "wheel",
            (event) => {
                const { view, layout } = this.app;
                const isOurs = event.ctrlKey || event.metaKey || document.activeElement === this.canvas;
                if (!isOurs) return;
                event.preventDefault();
                const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
                const distance =
                    (event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX) / layout.plotWidth;
                if (isPan) view.pan(distance * view.span);
                else
                    view.zoom(
                        Math.exp(Math.max(-1, Math.min(1, event.deltaY * 0.004))),
                        layout.time(view, event.offsetX),
                    );
                this.app.moved();
            },
            { passive: false },
        );
    }

    #listenToOverview() {
        const { canvas } = this.app.diagram.overview;
        const centre = (event) => {
            const { view, layout, run } = this.app;
            const whole = new View(run);
            const time = layout.time(whole, event.offsetX);
            view.show(time - view.span / 2, time + view.span / 2);
            this.app.moved();
        };
        canvas.addEventListener("pointerdown", (event) => {
            canvas.setPointerCapture(event.pointerId);
            if (this.app.view.span > (this.app.run.finish - this.app.run.start) * 0.9)
                this.app.view.zoom(0.1);
            centre(event);
        });
        canvas.addEventListener("pointermove", (event) => {
            if (event.buttons) centre(event);
        });
    }

    #listenToButtons() {
        const { app } = this;
        const act = (id, action) => element(id).addEventListener("click", action);
        act("zoom-in", () => {
            app.view.zoom(1 / ZOOM_STEP ** 2);
            app.moved();
        });
        act("zoom-out", () => {
            app.view.zoom(ZOOM_STEP ** 2);
            app.moved();
        });
        act("zoom-all", () => {
            app.view.showAll();
            app.moved();
        });
        act("clear", () => app.clear());
        act("copy", () =>
            navigator.clipboard?.writeText(element("command").textContent).then(
                () => {
                    element("copy").textContent = "Copied";
                },
                () => {},
            ),
        );
        for (const name of ["latency", "rates"]) {
            element(name).addEventListener("click", (event) => {
                const { run } = app;
                const part =
                    (event.offsetX - PLOT.left) / (event.target.clientWidth - PLOT.left - PLOT.right);
                const time = run.start + part * (run.finish - run.start);
                const half = (run.finish - run.start) / 60;
                app.zoomTo(time - half, time + half, 0);
            });
        }
    }

    #listenToSearch() {
        const { app } = this;
        element("search").addEventListener("submit", (event) => {
            event.preventDefault();
            if (element("query").value !== app.query) app.search(element("query").value);
            else app.nextHit(1);
        });
        element("query").addEventListener("input", () => {
            if (!element("query").value) app.search("");
        });
        element("next").addEventListener("click", () => app.nextHit(1));
        element("previous").addEventListener("click", () => app.nextHit(-1));
        document.addEventListener("keydown", (event) => {
            if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
            event.preventDefault();
            element("query").focus();
        });
    }

    #press(event) {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const { view } = this.app;
        const moves = {
            ArrowLeft: () => view.pan(-view.span / 8),
            ArrowRight: () => view.pan(view.span / 8),
            "+": () => view.zoom(1 / ZOOM_STEP),
            "=": () => view.zoom(1 / ZOOM_STEP),
            "-": () => view.zoom(ZOOM_STEP),
            0: () => view.showAll(),
            Home: () => view.showAll(),
        };
        const acts = {
            ArrowUp: () => this.#changeLane(-1),
            ArrowDown: () => this.#changeLane(1),
            n: () => this.#step(1),
            p: () => this.#step(-1),
            Enter: () => this.#follow(),
            z: () => this.app.selected && this.app.zoomTo(...spanOf(this.app.run, this.app.selected)),
            Escape: () => this.app.clear(),
        };
        const act = moves[event.key] ?? acts[event.key];
        if (!act) return;
        event.preventDefault();
        act();
        if (moves[event.key]) this.app.moved();
    }

    #changeLane(by) {
        const { app } = this;
        const lanes = app.run.replicas.length;
        app.focusLane = (Math.max(app.focusLane, by > 0 ? -1 : 0) + by + lanes) % lanes;
        element("status").textContent = `Lane of replica ${app.run.replicas[app.focusLane]}.`;
        app.redraw();
    }

    /** The next or previous hit of the search, step of the path, or message of the chosen lane. */
    #step(by) {
        const { app } = this;
        if (app.hits.length) app.nextHit(by);
        else if (app.path?.steps.length) this.#stepOnPath(by);
        else this.#stepInLane(by);
    }

    #stepOnPath(by) {
        const { app } = this;
        const steps = app.path.steps.map((step) => step.message);
        const at = app.selected?.kind === "message" ? steps.indexOf(app.selected.index) : -1;
        const next = at < 0 ? (by > 0 ? 0 : steps.length - 1) : (at + by + steps.length) % steps.length;
        app.select({ kind: "message", index: steps[next] }, { keepPath: true, reveal: true });
    }

    #stepInLane(by) {
        const { app } = this;
        const { run, view } = app;
        const lane = app.focusLane + run.clients.length;
        const isOfLane = (i) => app.focusLane < 0 || run.from[i] === lane || run.to[i] === lane;
        const isShown = (i) => isOfLane(i) && !app.hidden.has(app.groups.of[run.type[i]]);
        const start = lowerBound(run.sent, view.from) - (by > 0 ? 1 : 0);
        let i = (app.selected?.kind === "message" ? app.selected.index : start) + by;
        while (i >= 0 && i < run.sent.length && !isShown(i)) i += by;
        if (i >= 0 && i < run.sent.length) app.select({ kind: "message", index: i }, { reveal: true });
    }

    /** The path of the request that the selected message belongs to or carries. */
    #follow() {
        const { app } = this;
        if (app.selected?.kind === "operation") app.showPath(app.selected.index);
        else element("item-requests").querySelector("button")?.click();
    }
}

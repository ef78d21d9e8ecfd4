// The space-time diagram: draws all of it, and finds the item at a point.

const REACH = 7;

class Diagram {
    constructor(app, canvas, overview) {
        Object.assign(this, { app, canvas });
        this.overview = new Overview(overview, app.run, app.periods);
        this.density = new Density(app.run);
        this.marks = marksOf(app.run);
        this.targets = [];
        this.shown = [];
        this.isDense = false;
        canvas.style.height = `${app.layout.height}px`;
    }

    /** Take the size and the colours of the page anew. */
    reset() {
        this.app.layout.resize(this.canvas.clientWidth);
        this.overview.reset();
    }

    draw() {
        const { app } = this;
        const { pen } = fit(this.canvas);
        const { run, layout, view, periods, groups, hidden, path, palette, focusLane } = app;
        const scene = {
            pen,
            run,
            layout,
            view,
            periods,
            groups,
            hidden,
            path,
            marked: app.marked,
            chosen: app.selected?.kind === "operation" ? app.selected.index : -1,
            palette,
            focusLane,
            targets: [],
            taken: [],
            labels: [],
            named: [],
        };
        scene.unsure = new Set(
            (path?.steps ?? []).filter((step) => !step.isSure).map((step) => step.message),
        );
        drawAxis(scene);
        this.#clip(scene, () => this.#drawInside(scene));
        drawNames(scene);
        this.#clip(scene, () => drawEvents(scene, this.marks));
        this.overview.draw(layout, view, palette);
        this.targets = scene.targets;
        this.named = scene.named;
        if (document.activeElement === this.canvas) this.#drawFocus(scene);
    }

    #clip({ pen, layout }, draw) {
        pen.save();
        pen.beginPath();
        pen.rect(layout.left, 0, layout.plotWidth + 8, layout.height);
        pen.clip();
        draw();
        pen.restore();
    }

    #drawInside(scene) {
        const { app } = this;
        drawLanes(scene);
        const messages = visibleMessages(scene);
        this.isDense = messages === null;
        scene.isDense = this.isDense;
        this.shown = messages ?? [];
        if (this.isDense) this.density.draw(scene);
        placeLaneLabels(scene);
        drawOperations(scene);
        if (!this.isDense) drawArrows(scene, messages);
        drawLaneLabels(scene);
        this.#drawChosen(scene, app);
    }

    #drawChosen(scene, app) {
        const { palette, groups, run } = scene;
        const own = (i) => (run.isLost(i) ? palette.lost : palette.groups[groups.of[run.type[i]]]);
        this.#drawHits(scene, app.hits);
        if (app.path) {
            drawBold(
                scene,
                app.path.steps.map((step) => step.message),
                own,
            );
            drawMarkedOperations(scene, app.path.attempts, palette.accent);
            this.#labelPath(scene, app.path);
        }
        drawMarkedOperations(scene, app.marked, palette.bad, true);
        if (app.selected?.kind === "message") drawBold(scene, [app.selected.index], () => palette.accent, 3);
        if (app.hovered?.kind === "message") drawBold(scene, [app.hovered.index], own, 2.6);
        if (app.selected?.kind === "operation" && !app.marked.includes(app.selected.index))
            drawMarkedOperations(scene, [app.selected.index], palette.accent);
        if (app.selected) this.#drawMoment(scene, app.selected);
    }

    /** A line at the moment of a selected event, fault or log line. */
    #drawMoment({ pen, run, view, layout, palette }, item) {
        const [from, to] = spanOf(run, item);
        if (from !== to || item.kind === "message" || item.kind === "operation") return;
        const x = layout.x(view, from);
        const replica = item.kind === "line" ? run.replicas.indexOf(run.output[item.index][1]) : -1;
        const [top, bottom] =
            replica < 0
                ? [AXIS_HEIGHT + EVENTS_HEIGHT, layout.height]
                : [layout.laneTop(replica), layout.laneTop(replica) + layout.laneHeight];
        pen.strokeStyle = palette.accent;
        pen.lineWidth = 2.5;
        line(pen, x, top, x, bottom);
    }

    #labelPath(scene, path) {
        if (path.steps.length <= MOST_LABELS)
            drawLabels(
                scene,
                path.steps.map((step) => step.message),
            );
    }

    /** The hits of a search: lines if they are few, and always a tick at the bottom. */
    #drawHits(scene, hits) {
        const { run, view, palette, pen, layout } = scene;
        const { messages, records } = hits;
        const [low, high] = [lowerBound(run.sent, view.from), upperBound(run.sent, view.to)];
        const inside = messages.subarray(lowerBound(messages, low), lowerBound(messages, high));
        if (inside.length <= MOST_HEADS) drawBold(scene, inside, () => palette.accent, 2);
        pen.fillStyle = palette.accent;
        pen.beginPath();
        const tick = (time) => pen.rect(layout.x(view, time) - 1, layout.height - 6, 2, 6);
        for (const i of inside) tick(run.sent[i]);
        for (const { time } of records) if (time >= view.from && time <= view.to) tick(time);
        pen.fill();
    }

    #drawFocus({ pen, layout, palette }) {
        pen.strokeStyle = palette.accent;
        pen.lineWidth = 2;
        pen.strokeRect(1, 1, layout.width - 2, layout.height - 2);
    }

    /** The item at a point of the canvas, or `null`. */
    itemAt(x, y) {
        const target = this.targets.find((one) => Math.hypot(one.x - x, one.y - y) <= one.radius);
        return target?.item ?? this.#messageAt(x, y) ?? this.#operationAt(x, y);
    }

    /** The middle of the line of a message. */
    placeOf(message) {
        const [x1, y1, x2, y2] = ends(this.app, message);
        return [(x1 + x2) / 2, (y1 + y2) / 2];
    }

    #messageAt(x, y) {
        const chosen = [...(this.app.path?.steps.map((step) => step.message) ?? [])];
        let [best, least] = [-1, REACH];
        for (const i of [...this.shown, ...chosen]) {
            const distance = distanceTo(x, y, ...ends(this.app, i));
            if (distance < least) [best, least] = [i, distance];
        }
        return best < 0 ? null : { kind: "message", index: best };
    }

    #operationAt(x, y) {
        const { run, layout, view } = this.app;
        const row = layout.clientRowAt(y);
        if (row < 0) return null;
        const reach = (view.span / layout.plotWidth) * 4;
        const time = layout.time(view, x);
        for (let i = upperBound(run.invoked, time + reach) - 1; i >= 0; i--) {
            if (run.client[i] % layout.clientRows === row && run.returned(i) >= time - reach)
                return { kind: "operation", index: i };
            if (run.invoked[i] < time - (run.longest ?? 0) - reach && !run.open?.length) break;
        }
        return null;
    }

    /** What a dense lane has at a point, in words, or `null`. */
    densityAt(x, y) {
        const { run, layout, view, groups } = this.app;
        const replica = layout.replicaAt(y);
        if (!this.isDense || replica < 0 || x < layout.left) return null;
        const [from, to] = [x - BIN, x + BIN].map((place) => layout.time(view, place));
        const counts = new Map();
        let lost = 0;
        for (let i = lowerBound(run.sent, from); i < run.sent.length && run.sent[i] < to; i++) {
            if (run.from[i] !== replica + run.clients.length) continue;
            const name = run.types[run.type[i]];
            counts.set(name, (counts.get(name) ?? 0) + 1);
            if (run.isLost(i)) lost++;
        }
        if (!counts.size || !groups) return null;
        const parts = [...counts]
            .sort((a, b) => b[1] - a[1])
            .map(([name, count]) => `${formatCount(count)} ${name}`);
        const about = `${formatTime(from, to - from)}: replica ${run.replicas[replica]} sent ${parts.join(", ")}`;
        return lost ? `${about}; ${formatCount(lost)} lost` : about;
    }
}

/** The distance of a point from a line between two points. */
function distanceTo(x, y, x1, y1, x2, y2) {
    const [dx, dy] = [x2 - x1, y2 - y1];
    const length = dx * dx + dy * dy;
    const along = length ? Math.min(1, Math.max(0, ((x - x1) * dx + (y - y1) * dy) / length)) : 0;
    return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}

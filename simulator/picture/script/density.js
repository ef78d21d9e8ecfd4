// Messages as densities, where they are too many to tell apart.

const BIN = 2;
const DIMMED_DENSITY = 0.35;

/** Bars above each replica's line: how many messages it sent, by colour; below it the lost ones. */
class Density {
    constructor(run) {
        this.lanes = run.replicas.length;
        this.counts = new Uint32Array(0);
        this.lost = new Uint32Array(0);
    }

    draw(scene) {
        const bins = Math.ceil(scene.layout.plotWidth / BIN);
        this.#count(scene, bins);
        const room = scene.layout.laneHeight - 40;
        let most = 1;
        for (let cell = 0; cell < this.lanes * bins; cell++) most = Math.max(most, this.#total(cell));
        const scale = room / Math.log1p(most);
        for (let cell = 0; cell < this.lanes * bins; cell++) this.#stack(cell, this.#total(cell), scale);
        scene.pen.globalAlpha = scene.path ? DIMMED_DENSITY : 1;
        this.#paint(scene, bins);
        scene.pen.globalAlpha = 1;
    }

    #total(cell) {
        let total = 0;
        for (let group = 0; group < GROUP_COLOURS.length; group++)
            total += this.counts[cell * GROUP_COLOURS.length + group];
        return total;
    }

    #count({ run, view, layout, hidden, groups }, bins) {
        const cells = this.lanes * bins;
        if (this.lost.length !== cells) {
            this.counts = new Uint32Array(cells * GROUP_COLOURS.length);
            this.heights = new Float32Array(cells * GROUP_COLOURS.length);
            this.lost = new Uint32Array(cells);
        }
        this.counts.fill(0);
        this.lost.fill(0);
        const first = run.clients.length;
        const perTime = layout.plotWidth / view.span / BIN;
        const isHidden = GROUP_COLOURS.map((_, group) => hidden.has(group));
        const [low, high] = [lowerBound(run.sent, view.from), upperBound(run.sent, view.to)];
        for (let i = low; i < high; i++) {
            const lane = run.from[i] - first;
            const group = groups.of[run.type[i]];
            if (lane < 0 || lane >= this.lanes || isHidden[group]) continue;
            const cell = lane * bins + Math.min(bins - 1, Math.floor((run.sent[i] - view.from) * perTime));
            this.counts[cell * GROUP_COLOURS.length + group]++;
            if (run.fate[i] >= FIRST_REASON) this.lost[cell]++;
        }
    }

    #stack(cell, total, scale) {
        const height = total ? Math.max(2, Math.round(Math.log1p(total) * scale)) : 0;
        let done = 0;
        let drawn = 0;
        for (let group = 0; group < GROUP_COLOURS.length; group++) {
            const place = cell * GROUP_COLOURS.length + group;
            done += this.counts[place];
            // Whole pixels are drawn much faster.
            this.heights[place] = total ? Math.round((height * done) / total) - drawn : 0;
            drawn += this.heights[place];
        }
    }

    #paint({ pen, layout, palette }, bins) {
        const tops = new Float32Array(this.lanes * bins);
        for (let group = 0; group < GROUP_COLOURS.length; group++) {
            pen.fillStyle = palette.groups[group];
            pen.beginPath();
            for (let cell = 0; cell < this.lanes * bins; cell++) {
                const height = this.heights[cell * GROUP_COLOURS.length + group];
                if (!height) continue;
                const base = layout.baseline(Math.floor(cell / bins)) - LANE_BAR / 2 - 1 - tops[cell];
                pen.rect(layout.left + (cell % bins) * BIN, base - height, BIN, height);
                tops[cell] += height;
            }
            pen.fill();
        }
        pen.fillStyle = palette.lost;
        pen.beginPath();
        for (let cell = 0; cell < this.lanes * bins; cell++) {
            if (!this.lost[cell]) continue;
            const base = layout.baseline(Math.floor(cell / bins)) + LANE_BAR / 2 + 1;
            pen.rect(
                layout.left + (cell % bins) * BIN,
                base,
                BIN,
                Math.min(14, Math.round(3 + 3 * Math.log1p(this.lost[cell]))),
            );
        }
        pen.fill();
    }
}

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
        if (!this.lanes) return;
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
            this.heights[place] = total ? Math.round((height * done) / total) - drawn : 0;
            drawn += this.heights[place];
        }
    }

    /** Pixel by pixel, one per bin and row: thousands of rectangles would take much longer. */
    #paint({ pen, layout, palette }, bins) {
        const image = this.#image(bins, layout.laneHeight * this.lanes);
        const pixels = new Uint32Array(image.data.buffer);
        pixels.fill(0);
        const colours = palette.groups.map(pixelOf);
        const lost = pixelOf(palette.lost);
        for (let cell = 0; cell < this.lanes * bins; cell++) {
            const lane = Math.floor(cell / bins);
            const base = layout.baseline(lane) - layout.lanesTop;
            const column = cell % bins;
            let row = base - LANE_BAR / 2 - 1;
            for (let group = 0; group < colours.length; group++) {
                let height = this.heights[cell * colours.length + group];
                while (height-- > 0) pixels[--row * bins + column] = colours[group];
            }
            if (!this.lost[cell]) continue;
            let below = Math.min(14, Math.round(3 + 3 * Math.log1p(this.lost[cell])));
            for (row = base + LANE_BAR / 2 + 1; below > 0; row++, below--) pixels[row * bins + column] = lost;
        }
        this.context.putImageData(image, 0, 0);
        pen.imageSmoothingEnabled = false;
        pen.drawImage(this.canvas, layout.left, layout.lanesTop, bins * BIN, image.height);
    }

    /** The pixels of the lanes, which are kept as long as their number stays the same. */
    #image(width, height) {
        if (this.image?.width !== width || this.image.height !== height) {
            this.canvas = Object.assign(document.createElement("canvas"), { width, height });
            this.context = this.canvas.getContext("2d");
            this.image = this.context.createImageData(width, height);
        }
        return this.image;
    }
}

/** A colour of the style sheet, `#rrggbb`, as the number of a pixel. */
function pixelOf(colour) {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const bytes = Uint8Array.of(red, green, blue, 255);
    return new Uint32Array(bytes.buffer)[0];
}

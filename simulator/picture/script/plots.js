// The axes and marks of a chart on a canvas.

const PLOT = { left: 58, right: 26, top: 10, bottom: 26 };

/** A scale from values to pixels. */
class Scale {
    constructor(low, high, from, to, isLogarithmic = false) {
        Object.assign(this, { low, high, from, to, isLogarithmic });
    }

    at(value) {
        const map = this.isLogarithmic ? (x) => Math.log(Math.max(x, this.low)) : (x) => x;
        const part = (map(value) - map(this.low)) / (map(this.high) - map(this.low));
        return this.from + part * (this.to - this.from);
    }

    value(pixel) {
        const part = (pixel - this.from) / (this.to - this.from);
        return this.isLogarithmic
            ? this.low * (this.high / this.low) ** part
            : this.low + part * (this.high - this.low);
    }

    ticks(least) {
        const pixels = Math.abs(this.to - this.from);
        if (this.isLogarithmic)
            return this.#powers(Math.max(1, Math.ceil((least * Math.log10(this.high / this.low)) / pixels)));
        const step = niceStep(((this.high - this.low) * least) / pixels);
        const first = Math.ceil(this.low / step) * step;
        return Array.from(
            { length: Math.floor((this.high - first) / step + 1e-9) + 1 },
            (_, i) => first + i * step,
        );
    }

    #powers(stride) {
        const first = Math.ceil(Math.log10(this.low) - 1e-9);
        const count = Math.floor(Math.log10(this.high) + 1e-9) - first + 1;
        return Array.from({ length: Math.max(0, count) }, (_, i) => 10 ** (first + i)).filter(
            (_, i) => i % stride === 0,
        );
    }
}

/** A canvas with two scales. */
class Plot {
    constructor(canvas, palette) {
        Object.assign(this, fit(canvas), { palette });
    }

    scales(x, y) {
        this.x = new Scale(x.low, x.high, PLOT.left, this.width - PLOT.right, x.isLogarithmic);
        this.y = new Scale(y.low, y.high, this.height - PLOT.bottom, PLOT.top, y.isLogarithmic);
    }

    drawAxes(xLabel, yLabel) {
        const { pen, palette } = this;
        pen.font = SMALL_FONT;
        pen.strokeStyle = palette.grid;
        pen.fillStyle = palette.muted;
        pen.lineWidth = 1;
        pen.textBaseline = "middle";
        pen.textAlign = "right";
        for (const value of this.y.ticks(34)) {
            const y = Math.round(this.y.at(value)) + 0.5;
            line(pen, PLOT.left, y, this.width - PLOT.right, y);
            pen.fillText(yLabel(value), PLOT.left - 7, y);
        }
        pen.textAlign = "center";
        for (const value of this.x.ticks(76)) {
            const x = Math.round(this.x.at(value)) + 0.5;
            line(pen, x, this.height - PLOT.bottom, x, this.height - PLOT.bottom + 4);
            pen.fillText(xLabel(value), x, this.height - 10);
        }
    }

    dots(points, colour, size) {
        this.pen.fillStyle = colour;
        for (const [x, y] of points)
            this.pen.fillRect(this.x.at(x) - size / 2, this.y.at(y) - size / 2, size, size);
    }

    path(points, colour, width) {
        const { pen } = this;
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.lineJoin = "round";
        pen.beginPath();
        points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](this.x.at(x), this.y.at(y)));
        pen.stroke();
    }

    /** A bar from `low` to `high` on the upright axis. */
    bar(from, to, low, high, colour) {
        const [x1, x2] = [from, to].map((value) => Math.round(this.x.at(value)));
        const [y1, y2] = [this.y.at(low), this.y.at(high)];
        this.pen.fillStyle = colour;
        this.pen.fillRect(x1, y2, Math.max(1, x2 - x1 - (x2 - x1 > 3 ? 1 : 0)), y1 - y2);
    }

    /** A line across the plot at an x, with a label beside it at a height. */
    mark(x, label, y, colour) {
        const { pen, palette } = this;
        const at = Math.round(this.x.at(x)) + 0.5;
        pen.strokeStyle = colour;
        pen.lineWidth = 1.5;
        pen.setLineDash([4, 3]);
        line(pen, at, PLOT.top, at, this.height - PLOT.bottom);
        pen.setLineDash([]);
        const isLeft = at > this.width / 2;
        haloText({ pen, palette }, label, at + (isLeft ? -5 : 5), y, palette.ink, isLeft ? "right" : "left");
    }
}

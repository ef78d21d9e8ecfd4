// The axis of the diagram, and the strip with the whole run.

const SMALL_FONT = '11px system-ui, "Segoe UI", sans-serif';
const LABEL_FONT = '12px system-ui, "Segoe UI", sans-serif';

/** The distance of the ticks of a scale: 1, 2 or 5 times a power of ten, at least `least`. */
function niceStep(least) {
    const unit = 10 ** Math.floor(Math.log10(least));
    return unit * [1, 2, 5, 10].find((times) => times * unit >= least * 0.999);
}

function drawAxis({ pen, layout, view, palette }) {
    pen.fillStyle = palette.card;
    pen.fillRect(0, 0, layout.width, AXIS_HEIGHT + EVENTS_HEIGHT);
    const step = Math.max(1, niceStep((view.span / layout.plotWidth) * 96));
    pen.font = LABEL_FONT;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = palette.muted;
    pen.strokeStyle = palette.grid;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
        const x = Math.round(layout.x(view, time)) + 0.5;
        if (x < layout.left - 1) continue;
        pen.moveTo(x, AXIS_HEIGHT - 4);
        pen.lineTo(x, layout.height);
        const label = formatTime(time, step);
        const half = pen.measureText(label).width / 2;
        if (x - half > layout.left - 6 && x + half < layout.width) pen.fillText(label, x, 12);
    }
    pen.stroke();
}

/** A text cut to a width, with an ellipsis. */
function shorten(pen, text, width) {
    if (pen.measureText(text).width <= width) return text;
    let length = Math.floor((text.length * width) / pen.measureText(text).width);
    while (length > 0 && pen.measureText(`${text.slice(0, length)}…`).width > width) length--;
    return length > 2 ? `${text.slice(0, length)}…` : "";
}

function line(pen, x1, y1, x2, y2) {
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
}

/** The strip: how many messages were sent and lost in the whole run, and which part is shown. */
class Overview {
    constructor(canvas, run, periods) {
        Object.assign(this, { canvas, run, periods });
        this.picture = null;
    }

    /** Forget the picture, because the size or the colours have changed. */
    reset() {
        this.picture = null;
    }

    draw(layout, view, palette) {
        const { pen, width, height } = fit(this.canvas);
        if (!width || !height) return;
        this.picture ??= this.#paint(layout, width, height, palette);
        pen.drawImage(this.picture, 0, 0, width, height);
        const whole = this.#whole();
        const [x1, x2] = [view.from, view.to].map((time) => layout.x(whole, time));
        pen.fillStyle = palette.accent;
        pen.globalAlpha = 0.16;
        pen.fillRect(x1, 0, Math.max(2, x2 - x1), height);
        pen.globalAlpha = 1;
        pen.strokeStyle = palette.accent;
        pen.lineWidth = 2;
        pen.strokeRect(x1, 1, Math.max(2, x2 - x1), height - 2);
    }

    #whole() {
        const whole = new View(this.run);
        whole.showAll();
        return whole;
    }

    #paint(layout, width, height, palette) {
        const picture = document.createElement("canvas");
        const { pen } = fit(picture, width, height);
        const whole = this.#whole();
        const x = (time) => layout.x(whole, time);
        pen.fillStyle = palette["side-b"];
        for (const cut of this.periods.partitions)
            pen.fillRect(x(cut.from), 0, x(cut.to) - x(cut.from), height);
        const columns = Math.ceil(width);
        const [sent, lost] = [new Float64Array(columns), new Float64Array(columns)];
        for (let i = 0; i < this.run.sent.length; i++) {
            const column = Math.max(0, Math.floor(x(this.run.sent[i])));
            sent[column]++;
            if (this.run.isLost(i)) lost[column]++;
        }
        const most = Math.log1p(sent.reduce((a, b) => Math.max(a, b), 1));
        for (const [counts, colour] of [
            [sent, palette.muted],
            [lost, palette.lost],
        ]) {
            pen.fillStyle = colour;
            counts.forEach((count, column) => {
                const tall = (Math.log1p(count) / most) * (height - 6);
                if (count) pen.fillRect(column, height - tall, 1, tall);
            });
        }
        for (const [index, [time, kind]] of this.run.events.entries()) {
            if (isMinor(this.run, index)) continue;
            pen.fillStyle = kind === "kill" || kind === "end" ? palette.bad : palette.ink;
            pen.fillRect(x(time) - 0.5, 0, 1.5, 9);
        }
        pen.fillStyle = palette.bad;
        for (const [time] of this.run.faults) pen.fillRect(x(time) - 1, 0, 2, height);
        return picture;
    }
}

/** A pen for a canvas in CSS pixels, with the canvas as sharp as the screen. */
function fit(canvas, width = canvas.clientWidth, height = canvas.clientHeight) {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return { pen, width, height };
}

// The requests of the clients, each as a bar from its start to its end.

const OUTCOME_COLOURS = { ok: "good", redirect: "declined", fail: "warn", unknown: "bad", "": "bad" };
// A name nearer to another operation could be taken for its name.
const NAME_GAP = 4;
// How many rows away a name may stand if there is no room beside its operation.
const NAME_ROWS = [-1, 1, -2, 2];
const SHORT_PIXELS = 3;
const MOST_NAMED_OPERATIONS = 60;
// Others than the marked ones stand back.
const DIMMED_BARS = 0.35;

/** A bar for each request of a client, from its start to its end, in the colour of its outcome. */
function drawOperations(scene) {
    const { pen, layout, view, run } = scene;
    run.longest ??= run.took.reduce((a, b) => Math.max(a, b), 0);
    run.open ??= Array.from(run.invoked.keys()).filter((i) => !run.isOver(i));
    const low = lowerBound(run.invoked, view.from - run.longest);
    const high = upperBound(run.invoked, view.to);
    scene.dim = scene.marked.length ? DIMMED_BARS : 1;
    scene.isCrowded = high - low > MOST_NAMED_OPERATIONS;
    const short = new ShortBars(scene);
    const draw = (i) => {
        const x1 = Math.max(layout.left, layout.x(view, run.invoked[i]));
        const x2 = Math.min(layout.width, layout.x(view, run.returned(i)));
        if (x2 < layout.left || !run.isClient(run.client[i])) return;
        if (x2 - x1 < SHORT_PIXELS && run.outcomes[run.outcome[i]] === "ok") short.add(run.client[i], x1, x2);
        else drawOperation(scene, i, x1, x2);
    };
    for (const i of run.open) if (i < low) draw(i);
    for (let i = low; i < high; i++) draw(i);
    short.finish();
    pen.globalAlpha = 1;
}

function drawOperation(scene, operation, x1, x2) {
    const { pen, layout, run } = scene;
    const tall = barHeight(layout);
    pen.fillStyle = outcomeColour(scene, operation);
    pen.globalAlpha = (run.isOver(operation) ? 0.75 : 0.35) * scene.dim;
    pen.fillRect(x1, layout.y[run.client[operation]] - tall / 2, Math.max(1.5, x2 - x1), tall);
    drawOperationLabel(scene, operation, x1, x2, tall);
}

function barHeight(layout) {
    return Math.max(1, layout.clientRow - 3);
}

/** The bars of short requests that were done. Neighbours become one bar: a page may have thousands. */
class ShortBars {
    constructor(scene) {
        this.scene = scene;
        this.from = new Float64Array(scene.run.clients.length).fill(NaN);
        this.to = new Float64Array(scene.run.clients.length).fill(NaN);
    }

    add(client, x1, x2) {
        if (x1 - this.to[client] < 1) {
            this.to[client] = Math.max(this.to[client], x2);
            return;
        }
        this.#draw(client);
        this.from[client] = x1;
        this.to[client] = Math.max(x2, x1 + 1.5);
    }

    finish() {
        this.from.forEach((_, client) => this.#draw(client));
    }

    #draw(client) {
        const { pen, layout, palette, dim } = this.scene;
        if (Number.isNaN(this.from[client])) return;
        const tall = barHeight(layout);
        pen.fillStyle = palette.good;
        pen.globalAlpha = 0.75 * dim;
        pen.fillRect(
            this.from[client],
            layout.y[client] - tall / 2,
            this.to[client] - this.from[client],
            tall,
        );
    }
}

function drawOperationLabel(scene, operation, x1, x2, tall) {
    const { pen, layout, palette, run } = scene;
    if (scene.isDense || scene.isCrowded || scene.marked.length || x2 - x1 < 60 || tall < 8) return;
    pen.globalAlpha = 1;
    pen.font = '10px system-ui, "Segoe UI", sans-serif';
    const [call] = run.call(operation);
    const text = `${call.type ?? ""} ${shortKey(call.key ?? "")}`;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillStyle = palette.ink;
    pen.fillText(shorten(pen, text, x2 - x1 - 8), x1 + 4, layout.y[run.client[operation]] + 0.5);
}

/** Operations on top of all others, outlined: those of a contradiction or fault, or a selected one. */
function drawMarkedOperations(scene, operations, colour, isNamed = false) {
    const { pen, palette } = scene;
    const boxes = operations.map((operation) => boxOf(scene, operation));
    operations.forEach((operation, i) => {
        if (!boxes[i]) return;
        const [left, top, right, bottom] = boxes[i];
        const place = [left, top, right - left, bottom - top];
        pen.fillStyle = palette.card;
        pen.fillRect(...place);
        pen.fillStyle = outcomeColour(scene, operation);
        pen.fillRect(...place);
        pen.strokeStyle = colour;
        pen.lineWidth = operation === scene.chosen ? 3.5 : 2;
        pen.strokeRect(...place);
    });
    if (isNamed) nameOperations(scene, operations, boxes, colour);
}

/** Names beside marked operations: first the chosen one, then those that were done. */
function nameOperations(scene, operations, boxes, colour) {
    const { run } = scene;
    const rank = (i) => {
        if (operations[i] === scene.chosen) return 0;
        return run.outcomes[run.outcome[operations[i]]] === "ok" ? 1 : 2;
    };
    const shown = [...operations.keys()].filter((i) => boxes[i]).sort((a, b) => rank(a) - rank(b));
    const taken = shown.map((i) => boxes[i]);
    for (const i of shown) {
        const others = taken.filter((box) => box !== boxes[i]);
        const names = [describeCall(run, operations[i]), nameOf(run, operations[i])];
        const near = names.map((name) => [name, false]);
        const far = rank(i) < 2 ? names.map((name) => [name, true]) : [];
        for (const [name, isFar] of [...near, ...far]) {
            const label = drawOperationName(scene, operations[i], name, boxes[i], colour, others, isFar);
            if (!label) continue;
            taken.push(label);
            scene.named.push(operations[i]);
            break;
        }
    }
}

/** The left, top, right and bottom of an operation, or `null` if it is out of sight. */
function boxOf({ layout, view, run }, operation) {
    const x1 = Math.max(layout.left, layout.x(view, run.invoked[operation]));
    const x2 = Math.min(layout.width, layout.x(view, run.returned(operation)));
    if (x2 < layout.left || x1 > layout.width || !run.isClient(run.client[operation])) return null;
    const y = layout.y[run.client[operation]];
    const half = Math.max(5, layout.clientRow) / 2;
    return [x1 - 2, y - half, Math.max(x1 + 4, x2 + 2), y + half];
}

/** A name beside an operation or in it, or a row or two away. Returns its place, or `null` without room. */
function drawOperationName(scene, operation, name, box, colour, taken, isFar) {
    const { pen, layout } = scene;
    pen.font = `600 ${SMALL_FONT}`;
    const width = pen.measureText(name).width;
    for (const { x, y, isInside } of placesOfName(layout, box, width, isFar)) {
        const place = [x - NAME_GAP, y - 5, x + width + NAME_GAP, y + 5];
        const right = isInside ? box[2] - 6 : layout.width;
        if (x <= layout.left || x + width >= right || taken.some((other) => overlaps(place, other))) continue;
        if (isInside) drawNameInside(scene, operation, name, x, y);
        else haloText(scene, name, x, y, colour);
        return place;
    }
    return null;
}

/** Where a name of some width may begin: to the right of a box, to its left or in it; or in other rows. */
function placesOfName(layout, [x1, top, x2, bottom], width, isFar) {
    const y = (top + bottom) / 2;
    const beside = (rows) =>
        [x2 + NAME_GAP, x1 - NAME_GAP - width].map((x) => ({ x, y: y + rows * layout.clientRow }));
    return isFar ? NAME_ROWS.flatMap(beside) : [...beside(0), { x: x1 + 6, y, isInside: true }];
}

function drawNameInside({ pen, palette, run }, operation, name, x, y) {
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillStyle = run.outcomes[run.outcome[operation]] === "ok" ? palette.card : palette.ink;
    pen.fillText(name, x, y + 0.5);
}

function outcomeColour({ run, palette }, operation) {
    return palette[OUTCOME_COLOURS[run.outcomes[run.outcome[operation]]] ?? "warn"];
}

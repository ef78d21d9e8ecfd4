// The requests of the clients, each as a bar from its start to its end.

const OUTCOME_COLOURS = { ok: "good", redirect: "declined", fail: "warn", unknown: "bad", "": "bad" };
const MOST_NAMED_OPERATIONS = 60;

/** A bar for each request of a client, from its start to its end, in the colour of its outcome. */
function drawOperations(scene) {
    const { pen, layout, view, run } = scene;
    const drawnTo = new Float64Array(run.clients.length).fill(-Infinity);
    run.longest ??= run.took.reduce((a, b) => Math.max(a, b), 0);
    run.open ??= Array.from(run.invoked.keys()).filter((i) => !run.isOver(i));
    const low = lowerBound(run.invoked, view.from - run.longest);
    const high = upperBound(run.invoked, view.to);
    const tall = Math.max(1, layout.clientRow - 3);
    scene.isCrowded = high - low > MOST_NAMED_OPERATIONS;
    const draw = (i) => {
        const client = run.client[i];
        if (!run.isClient(client)) return;
        const x1 = Math.max(layout.left, layout.x(view, run.invoked[i]));
        const x2 = Math.min(layout.width, layout.x(view, run.returned(i)));
        const isGood = run.outcomes[run.outcome[i]] === "ok";
        if (x2 < layout.left || (isGood && x2 < drawnTo[client] + 0.5)) return;
        drawnTo[client] = Math.max(drawnTo[client], x2);
        pen.fillStyle = outcomeColour(scene, i);
        pen.globalAlpha = run.isOver(i) ? 0.75 : 0.35;
        pen.fillRect(x1, layout.y[client] - tall / 2, Math.max(1.5, x2 - x1), tall);
        drawOperationLabel(scene, i, x1, x2, tall);
    };
    for (const i of run.open) if (i < low) draw(i);
    for (let i = low; i < high; i++) draw(i);
    pen.globalAlpha = 1;
}

function drawOperationLabel(scene, operation, x1, x2, tall) {
    const { pen, layout, palette, run } = scene;
    if (scene.isDense || scene.isCrowded || x2 - x1 < 60 || tall < 8) return;
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
    const { pen, layout, view, run, palette } = scene;
    const taken = [];
    for (const i of operations) {
        const x1 = Math.max(layout.left, layout.x(view, run.invoked[i]));
        const x2 = Math.min(layout.width, layout.x(view, run.returned(i)));
        if (x2 < layout.left || x1 > layout.width || !run.isClient(run.client[i])) continue;
        const tall = Math.max(5, layout.clientRow);
        const box = [x1 - 2, layout.y[run.client[i]] - tall / 2, Math.max(6, x2 - x1 + 4), tall];
        pen.fillStyle = palette.card;
        pen.fillRect(...box);
        pen.fillStyle = outcomeColour(scene, i);
        pen.fillRect(...box);
        pen.strokeStyle = colour;
        pen.lineWidth = 2;
        pen.strokeRect(...box);
        if (isNamed) drawOperationName(scene, i, x1, x2, colour, taken);
    }
}

/** The kind and MID of an operation to its right, or to its left, where they cover no other name. */
function drawOperationName(scene, operation, x1, x2, colour, taken) {
    const { pen, layout, run } = scene;
    pen.font = `600 ${SMALL_FONT}`;
    const name = `${run.kinds[run.kind[operation]]} ${run.mids[run.operationMid[operation]]}`;
    const y = layout.y[run.client[operation]];
    const width = pen.measureText(name).width;
    for (const [align, x, left] of [
        ["left", x2 + 6, x2 + 6],
        ["right", x1 - 6, x1 - 6 - width],
    ]) {
        const box = [left, y - 5, left + width, y + 5];
        const hasRoom = left > layout.left && left + width < layout.width;
        if (!hasRoom || taken.some((other) => overlaps(box, other))) continue;
        taken.push(box);
        haloText(scene, name, x, y, colour, align);
        return;
    }
}

function outcomeColour({ run, palette }, operation) {
    return palette[OUTCOME_COLOURS[run.outcomes[run.outcome[operation]]] ?? "warn"];
}

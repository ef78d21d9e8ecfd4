// Messages as arrows from send to delivery, as long as they can be told apart.

const MOST_ARROWS = 1200;
const MOST_HEADS = 700;
const MOST_LABELS = 90;
const LOST_PART = 0.45;
const DAMAGE_PART = 0.7;

/** The messages that the view shows, as numbers; `null` if they are too many to draw one by one. */
function visibleMessages({ run, view, hidden, groups }) {
    const [low, high] = run.range(view.from, view.to);
    const found = [];
    for (let i = low; i < high; i++) {
        if (run.arrives[i] < view.from || hidden.has(groups.of[run.type[i]])) continue;
        found.push(i);
        if (found.length > MOST_ARROWS) return null;
    }
    return found;
}

/** The two ends of the line of a message. A lost one ends on its way. */
function ends({ run, layout, view }, message) {
    const x1 = layout.x(view, run.sent[message]);
    const y1 = layout.y[run.from[message]];
    const y2 = layout.y[run.to[message]];
    if (run.fate[message] === DELIVERED) return [x1, y1, layout.x(view, run.arrives[message]), y2];
    const transit = Math.max(run.delay[message], run.typicalDelay);
    const x2 = layout.x(view, run.sent[message] + transit);
    return [x1, y1, x1 + (x2 - x1) * LOST_PART, y1 + (y2 - y1) * LOST_PART];
}

function drawArrows(scene, messages) {
    const { run, groups, palette, pen } = scene;
    const width = messages.length < 300 ? 1.4 : 1;
    const lost = messages.filter((i) => run.isLost(i));
    const open = messages.filter((i) => run.fate[i] === UNDECIDED);
    const dimmed = messages.length < 100 ? 0.3 : 0.16;
    pen.globalAlpha = scene.path ? dimmed : Math.min(0.85, Math.max(0.4, 250 / messages.length));
    for (const { number } of groups.all) {
        const some = messages.filter((i) => run.fate[i] === DELIVERED && groups.of[run.type[i]] === number);
        drawLines(scene, some, palette.groups[number], [], width);
        if (messages.length <= MOST_HEADS) drawHeads(scene, some, palette.groups[number]);
    }
    drawLines(scene, open, palette.muted, [2, 3], width);
    drawLines(scene, lost, palette.lost, [4, 3], width);
    drawCrosses(scene, lost, palette.lost);
    drawCopies(scene);
    drawDamage(scene, messages);
    pen.globalAlpha = 1;
    if (messages.length <= MOST_LABELS && !scene.path) drawLabels(scene, messages);
}

function drawLines(scene, messages, colour, dashes, width) {
    const { pen } = scene;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dashes);
    pen.beginPath();
    for (const i of messages) {
        const [x1, y1, x2, y2] = ends(scene, i);
        pen.moveTo(x1, y1);
        pen.lineTo(x2, y2);
    }
    pen.stroke();
    pen.setLineDash([]);
}

function drawHeads(scene, messages, colour) {
    const { pen } = scene;
    pen.fillStyle = colour;
    pen.beginPath();
    for (const i of messages) {
        const [x1, y1, x2, y2] = ends(scene, i);
        const angle = Math.atan2(y2 - y1, x2 - x1);
        pen.moveTo(x2, y2);
        pen.lineTo(x2 - 7 * Math.cos(angle - 0.4), y2 - 7 * Math.sin(angle - 0.4));
        pen.lineTo(x2 - 7 * Math.cos(angle + 0.4), y2 - 7 * Math.sin(angle + 0.4));
        pen.closePath();
    }
    pen.fill();
}

/** The end of a lost message. One without a fate has none: it may have been delivered later. */
function drawCrosses(scene, messages, colour) {
    const { pen } = scene;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.8;
    pen.beginPath();
    for (const i of messages) {
        const [, , x, y] = ends(scene, i);
        pen.moveTo(x - 3.5, y - 3.5);
        pen.lineTo(x + 3.5, y + 3.5);
        pen.moveTo(x - 3.5, y + 3.5);
        pen.lineTo(x + 3.5, y - 3.5);
    }
    pen.stroke();
}

/** The further deliveries of duplicated messages. */
function drawCopies({ pen, run, layout, view, palette }) {
    pen.strokeStyle = palette.muted;
    pen.setLineDash([1, 3]);
    pen.lineWidth = 1.2;
    for (const { message, delay } of run.copies) {
        const [from, to] = [run.sent[message], run.sent[message] + delay];
        if (to < view.from || from > view.to) continue;
        line(
            pen,
            layout.x(view, from),
            layout.y[run.from[message]],
            layout.x(view, to),
            layout.y[run.to[message]],
        );
    }
    pen.setLineDash([]);
}

/** A lozenge on the way of each message that the network has changed. */
function drawDamage(scene, messages) {
    const { pen, run, palette } = scene;
    pen.fillStyle = palette.warn;
    pen.beginPath();
    for (const i of messages) {
        if (!run.changed.has(i)) continue;
        const [x1, y1, x2, y2] = ends(scene, i);
        const [x, y] = [x1 + (x2 - x1) * DAMAGE_PART, y1 + (y2 - y1) * DAMAGE_PART];
        pen.moveTo(x, y - 5);
        pen.lineTo(x + 5, y);
        pen.lineTo(x, y + 5);
        pen.lineTo(x - 5, y);
        pen.closePath();
    }
    pen.fill();
}

/** The words beside a message: its type, and what the network did to it. */
function labelOf({ run, palette, groups }, message) {
    const type = run.types[run.type[message]];
    if (run.isLost(message))
        return [`${type}: ${run.reasons[run.fate[message] - FIRST_REASON]}`, palette.lost];
    if (run.changed.has(message)) return [`${type}: damaged`, palette.warn];
    return [type, palette.groups[groups.of[run.type[message]]]];
}

/** A label at the line of each message, where it covers no other label. */
function drawLabels(scene, messages) {
    const { pen, run, layout, taken } = scene;
    pen.font = SMALL_FONT;
    for (const i of messages) {
        const [x1, y1, x2, y2] = ends(scene, i);
        if (x2 < layout.left || x1 > layout.width || Math.abs(y2 - y1) < 12) continue;
        const [text, colour] = labelOf(scene, i);
        const width = pen.measureText(text).width;
        const at = run.isLost(i) ? [x2 + 8, y2] : [x1 + (x2 - x1) * 0.3 + 6, y1 + (y2 - y1) * 0.3];
        const box = [at[0], at[1] - 7, at[0] + width, at[1] + 7];
        if (box[0] < layout.left || box[2] > layout.width || taken.some((other) => overlaps(box, other)))
            continue;
        taken.push(box);
        haloText(scene, text, at[0], at[1], colour);
    }
}

function overlaps(a, b) {
    return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

/** Some messages in bold: the path of a request, the hits of a search, or the selected one. */
function drawBold(scene, messages, colourOf, width = 2.2) {
    const { pen, layout, run, view } = scene;
    for (const i of messages) {
        if (run.arrives[i] < view.from || run.sent[i] > view.to) continue;
        const [x1, y1, x2, y2] = ends(scene, i);
        if (x2 < layout.left - 50 || x1 > layout.width + 50) continue;
        const colour = colourOf(i);
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.setLineDash(scene.unsure?.has(i) ? [6, 4] : []);
        line(pen, x1, y1, x2, y2);
        pen.setLineDash([]);
        if (run.isLost(i)) drawCrosses(scene, [i], colour);
        else if (run.fate[i] === DELIVERED) drawHeads(scene, [i], colour);
        drawDamage(scene, [i]);
    }
}

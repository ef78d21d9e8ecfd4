// The events and the faults: their marks, their words, and which of them have a mark.

// A note on an event is written this soon after it.
const NOTE_MICROSECONDS = 5000;
// The lanes show leaders, and the other kinds are about one request of many.
const MINOR_EVENTS = new Set(["leader", "no_get", "no_request", "refused"]);
const MOST_NEIGHBOURS = 4;
const CUTS = new Set(["partition", "one_way"]);
const LINKS = new Set(["partition", "one_way", "heal"]);
const MARK_PIXELS = 9;
// An event that lasts has another note at its end.
const END_OF_EVENT = /: (continued|started) |as fast as before$|keeps its links$/;
const MARKS = {
    kill: "✕",
    end: "✕",
    restart: "↻",
    back: "▲",
    pause: "‖",
    resume: "▶",
    partition: "≠",
    one_way: "≠",
    heal: "=",
    slow: "~",
    slow_end: "=",
    note: "●",
};

/** The events and the faults that have a mark, in order. */
function marksOf(run) {
    const events = run.events.map((event, index) => ({
        item: { kind: "event", index },
        time: event[0],
        event,
        text: textOf(run, index),
    }));
    const faults = run.faults.map((fault, index) => ({
        item: { kind: "fault", index },
        time: fault[0],
        fault,
    }));
    return [...events.filter(({ item }) => !isMinor(run, item.index)), ...faults].sort(
        (a, b) => a.time - b.time,
    );
}

/** A mark with a line down the lanes, and text if it has room. */
function drawEvents(scene, allMarks) {
    const { pen, layout, view, palette } = scene;
    const y = AXIS_HEIGHT + EVENTS_HEIGHT / 2;
    const marks = allMarks.filter(({ time }) => time >= view.from && time <= view.to);
    pen.font = SMALL_FONT;
    pen.textBaseline = "middle";
    marks.forEach((mark, i) => {
        const x = layout.x(view, mark.time);
        const next = i + 1 < marks.length ? layout.x(view, marks[i + 1].time) : layout.width;
        const isBad = Boolean(mark.fault) || ["kill", "end"].includes(mark.event?.[1]);
        if (isBad || next - x > MARK_PIXELS) drawMark(scene, mark, x, y, isBad, next);
        scene.targets.push({ item: mark.item, x, y, radius: 11 });
        pen.strokeStyle = isBad ? palette.bad : palette.muted;
        pen.setLineDash(mark.fault ? [5, 3] : [2, 3]);
        pen.globalAlpha = 0.7;
        line(pen, x, AXIS_HEIGHT + EVENTS_HEIGHT, x, layout.height);
        pen.globalAlpha = 1;
        pen.setLineDash([]);
    });
}

/** Whether the lanes show an event already, or another one of the same moment tells it. */
function isMinor(run, index) {
    const kind = run.events[index][1];
    const near = neighbours(run, index);
    if (kind === "note") return near.some((event) => event[1] !== "note" && MARKS[event[1]]);
    if (kind === "heal" && near.some((event) => CUTS.has(event[1]))) return true;
    // A flap cuts and heals links many times, and only its begin has a note.
    run.hasNotes ??= run.events.some((event) => event[1] === "note");
    if (run.hasNotes && LINKS.has(kind)) return !near.some((event) => event[1] === "note");
    return MINOR_EVENTS.has(kind);
}

/** The events of the same moment: those of `run.py` have their note after them, those of `explore` before. */
function neighbours(run, index) {
    const isNear = (event) => Math.abs(event[0] - run.events[index][0]) < NOTE_MICROSECONDS;
    const after = run.events.slice(index + 1, index + 1 + MOST_NEIGHBOURS);
    const before = run.events.slice(Math.max(0, index - MOST_NEIGHBOURS), index).reverse();
    return [...after, ...before].filter(isNear);
}

/** An event in the words of the run, which name the event of the scenario, or else in ours. */
function textOf(run, index) {
    const note = neighbours(run, index).find((event) => event[1] === "note");
    const event = note ?? run.events[index];
    return `${describeEvent(event)}${conditionOf(run, event)}`;
}

/** The condition that the scenario has for an event, in words after a comma; empty without one. */
function conditionOf(run, [time, kind, data]) {
    const type = kind === "note" ? String(data.text).match(/^(\w+): /)?.[1] : undefined;
    if (!type || END_OF_EVENT.test(data.text)) return "";
    const { events, start_wait: wait = 0 } = run.head.settings ?? {};
    const meant = Array.isArray(events) ? events.filter((event) => event?.type === type) : [];
    const isDue = ({ time: at }) => Math.abs((at + wait) * SECOND - time) < NOTE_MICROSECONDS * 10;
    if (meant.some(isDue)) return "";
    const conditions = meant.filter(({ when }) => when?.on).map(({ when }) => describeCondition(when));
    return conditions.length ? `, ${conditions.join(" or ")}` : "";
}

function describeCondition({ on, after = 0, count = 1, message }) {
    const what = `${on}${message === undefined ? "" : ` ${message}`}${count > 1 ? ` number ${count}` : ""}`;
    return after > 0 ? `${formatDuration(after * SECOND)} after ${what}` : `at ${what}`;
}

function drawMark({ pen, palette }, mark, x, y, isBad, next) {
    pen.fillStyle = isBad ? palette.bad : palette.ink;
    pen.textAlign = "center";
    pen.font = LABEL_FONT;
    pen.fillText(mark.fault ? "⚠" : (MARKS[mark.event[1]] ?? "●"), x, y);
    const text = mark.fault ? mark.fault[1] : mark.text;
    pen.font = SMALL_FONT;
    const room = next - x - 22;
    if (room < 60) return;
    pen.textAlign = "left";
    pen.fillText(shorten(pen, text, Math.min(room, 260)), x + 9, y);
}

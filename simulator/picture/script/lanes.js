// The lanes: what holds for a replica over time, its log lines, and the names of the lanes.

function drawLanes(scene) {
    drawPartitions(scene);
    scene.run.replicas.forEach((_, replica) => {
        drawLeaders(scene, replica);
        drawPeriods(scene, scene.periods.slows[replica], replica, scene.palette.dots, 1);
        drawPeriods(scene, scene.periods.pauses[replica], replica, scene.palette.hatch, 0.9);
        drawPeriods(scene, scene.periods.downs[replica], replica, scene.palette.down, 1);
    });
    drawOutput(scene);
}

/** The part of a period that is on the canvas, as `[x, width]`, or `null`. */
function stretch({ layout, view }, period) {
    if (period.to < view.from || period.from > view.to) return null;
    const x1 = Math.max(layout.left, layout.x(view, period.from));
    const x2 = Math.min(layout.width, layout.x(view, period.to));
    return [x1, Math.max(1, x2 - x1)];
}

function drawPartitions(scene) {
    const { pen, layout, palette, run } = scene;
    let drawn = -1;
    for (const cut of scene.periods.partitions) {
        const place = stretch(scene, cut);
        // Of many short cuts within a pixel one is enough.
        if (!place || (place[1] <= 1 && place[0] < drawn + 1)) continue;
        drawn = place[0];
        run.replicas.forEach((_, replica) => {
            if (!cut.sides[replica]) return;
            pen.fillStyle = palette[cut.sides[replica]];
            pen.fillRect(place[0], layout.laneTop(replica), place[1], layout.laneHeight);
        });
    }
}

/** The bar of a replica has the colour of the leader that it names; the leader's lane glows in it. */
function drawLeaders(scene, replica) {
    const { pen, layout, palette } = scene;
    const y = layout.baseline(replica);
    for (const period of scene.periods.leaders[replica]) {
        const place = stretch(scene, period);
        if (!place) continue;
        const [x, width] = place;
        pen.fillStyle = period.leader < 0 ? palette.unknown : palette.leaders[period.leader % LEADER_COLOURS];
        pen.fillRect(x, y - LANE_BAR / 2, width, LANE_BAR);
        if (period.leader === replica) {
            pen.globalAlpha = 0.32;
            pen.fillRect(x, layout.laneTop(replica) + 2, width, layout.laneHeight - 4);
            pen.globalAlpha = 1;
        }
    }
    pen.strokeStyle = palette.line;
    pen.lineWidth = 1;
    line(
        pen,
        layout.left,
        layout.laneTop(replica) + layout.laneHeight + 0.5,
        layout.width,
        layout.laneTop(replica) + layout.laneHeight + 0.5,
    );
}

/** Find room for the terms of leaders, and for the reasons why a replica is silent or slow. */
function placeLaneLabels(scene) {
    scene.run.replicas.forEach((_, replica) => {
        for (const period of scene.periods.leaders[replica]) {
            if (period.leader === replica) placeLeaderLabel(scene, period, replica);
        }
        const { slows, pauses, downs } = scene.periods;
        for (const period of [...slows[replica], ...pauses[replica], ...downs[replica]])
            placeLaneLabel(scene, period, replica, [period.why]);
    });
}

function placeLeaderLabel(scene, period, replica) {
    const term = period.term ? `term ${period.term}` : "";
    placeLaneLabel(scene, period, replica, term ? [`leader, ${term}`, term] : ["leader"]);
}

/** The first of some texts that has room in a period, in the upper corner of its lane. */
function placeLaneLabel(scene, period, replica, texts) {
    const { pen, layout, taken } = scene;
    const [x, width] = stretch(scene, period) ?? [0, 0];
    pen.font = SMALL_FONT;
    const text = texts.find((one) => pen.measureText(one).width < width - 8);
    if (!text) return;
    const box = (y) => [x + 5, y - 7, x + 5 + pen.measureText(text).width, y + 7];
    let y = layout.laneTop(replica) + 11;
    if (taken.some((other) => overlaps(box(y), other))) y += 15;
    scene.labels.push({ text, x: x + 5, y });
    taken.push(box(y));
}

/** The labels of the lanes, on top of the arrows. */
function drawLaneLabels(scene) {
    scene.pen.font = SMALL_FONT;
    for (const { text, x, y } of scene.labels) haloText(scene, text, x, y, scene.palette.ink);
}

function drawPeriods(scene, periods, replica, fill, alpha) {
    const { pen, layout } = scene;
    for (const period of periods) {
        const place = stretch(scene, period);
        if (!place) continue;
        const [x, width] = place;
        pen.fillStyle = fill;
        pen.globalAlpha = alpha * 0.5;
        pen.fillRect(x, layout.laneTop(replica) + 2, width, layout.laneHeight - 4);
        pen.globalAlpha = 1;
    }
}

/** Text that can be read on any ground. */
function haloText({ pen, palette }, text, x, y, colour, align = "left") {
    pen.textAlign = align;
    pen.textBaseline = "middle";
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = palette.card;
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
}

/** A tick under the bar for each line that a replica printed, with its text if there is room. */
function drawOutput(scene) {
    const { pen, layout, view, palette, run } = scene;
    const free = run.replicas.map(() => -Infinity);
    run.outputTimes ??= run.output.map(([time]) => time);
    const first = lowerBound(run.outputTimes, view.from);
    pen.font = SMALL_FONT;
    for (let index = first; index < run.output.length && run.output[index][0] <= view.to; index++) {
        const [time, id, stream, text] = run.output[index];
        const replica = run.replicas.indexOf(id);
        const x = layout.x(view, time);
        if (replica < 0 || x < free[replica]) continue;
        const y = layout.baseline(replica) + 13;
        const next = nextOutput(run, index);
        const room = (next === undefined ? layout.width : layout.x(view, next)) - x - 10;
        pen.fillStyle = stream === "err" ? palette.warn : palette.muted;
        pen.fillRect(x - 1, y - 6, 2, 12);
        free[replica] = x + 2;
        scene.targets.push({ item: { kind: "line", index }, x, y, radius: 7 });
        if (room < 50) continue;
        pen.textAlign = "left";
        pen.textBaseline = "middle";
        pen.fillText(shorten(pen, text, Math.min(room, 360)), x + 5, y);
    }
}

/** The time of the next line of the same replica. */
function nextOutput(run, index) {
    const [, id] = run.output[index];
    for (let i = index + 1; i < Math.min(index + 200, run.output.length); i++) {
        if (run.output[i][1] === id) return run.output[i][0];
    }
    return undefined;
}

/** The names of the lanes, on top of all that passes under them. */
function drawNames(scene) {
    const { pen, layout, palette, run } = scene;
    pen.fillStyle = palette.card;
    pen.fillRect(0, AXIS_HEIGHT + EVENTS_HEIGHT, layout.left, layout.height);
    pen.strokeStyle = palette.line;
    pen.lineWidth = 1;
    line(pen, layout.left - 0.5, AXIS_HEIGHT, layout.left - 0.5, layout.height);
    const right = layout.left - 8;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.fillStyle = palette.muted;
    pen.font = SMALL_FONT;
    if (run.clients.length <= layout.clientRows) {
        run.clients.forEach((id, client) => pen.fillText(id, right, layout.y[client]));
    } else if (run.clients.length) {
        pen.fillText("clients", right, layout.clientsTop + layout.clientsHeight / 2);
    }
    run.replicas.forEach((id, replica) => {
        const isFocused = scene.focusLane === replica;
        pen.fillStyle = palette.ink;
        pen.font = `${isFocused ? "700" : "600"} 13px ui-monospace, Menlo, Consolas, monospace`;
        pen.fillText(id, right, layout.baseline(replica) - 6);
        if (isFocused) pen.fillRect(0, layout.laneTop(replica) + 4, 3, layout.laneHeight - 8);
        pen.font = SMALL_FONT;
        pen.fillStyle = palette.muted;
        if (layout.left > 60 && layout.laneHeight > 50)
            pen.fillText("replica", right, layout.baseline(replica) + 8);
    });
    if (layout.height - layout.lanesBottom > 20) pen.fillText("others", right, layout.lanesBottom + 22);
}

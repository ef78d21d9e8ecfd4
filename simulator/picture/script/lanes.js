// The lanes: what holds for a replica over time, its log lines, and the requests of the clients.

const OUTCOME_COLOURS = { ok: "good", redirect: "refusal", fail: "warn", unknown: "bad", "": "bad" };

const MOST_NAMED_OPERATIONS = 60;

function drawLanes(scene) {
  drawPartitions(scene);
  scene.run.replicas.forEach((_, replica) => {
    drawLeaders(scene, replica);
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
  for (const cut of scene.periods.partitions) {
    const place = stretch(scene, cut);
    if (!place) continue;
    run.replicas.forEach((_, replica) => {
      pen.fillStyle = cut.inside[replica] ? palette["side-a"] : palette["side-b"];
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
  line(pen, layout.left, layout.laneTop(replica) + layout.laneHeight + 0.5, layout.width, layout.laneTop(replica) + layout.laneHeight + 0.5);
}

/** The terms of leaders, and why a replica is silent. */
function drawLaneLabels(scene) {
  scene.run.replicas.forEach((_, replica) => {
    for (const period of scene.periods.leaders[replica]) {
      if (period.leader === replica) drawLeaderLabel(scene, period, replica);
    }
    const silences = [...scene.periods.pauses[replica], ...scene.periods.downs[replica]];
    for (const period of silences) drawLaneLabel(scene, period, replica, [period.why]);
  });
}

function drawLeaderLabel(scene, period, replica) {
  const term = period.term ? `term ${period.term}` : "";
  drawLaneLabel(scene, period, replica, term ? [`leader, ${term}`, term] : ["leader"]);
}

/** The first of some texts that has room in a period, in the upper corner of its lane. */
function drawLaneLabel(scene, period, replica, texts) {
  const { pen, layout, palette, taken } = scene;
  const [x, width] = stretch(scene, period) ?? [0, 0];
  const y = layout.laneTop(replica) + 11;
  pen.font = SMALL_FONT;
  const text = texts.find((one) => pen.measureText(one).width < width - 8);
  if (!text) return;
  haloText(scene, text, x + 5, y, palette.ink);
  taken.push([x + 5, y - 7, x + 5 + pen.measureText(text).width, y + 7]);
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
  const first = lowerBound(run.output.map(([time]) => time), view.from);
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

/** A bar for each request of a client, from its start to its end, in the colour of its outcome. */
function drawOperations(scene) {
  const { pen, layout, view, palette, run } = scene;
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
    pen.fillStyle = palette[OUTCOME_COLOURS[run.outcomes[run.outcome[i]]] ?? "warn"];
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

/** An outline around operations: those of a contradiction or fault with their names, or a selected request. */
function drawMarkedOperations(scene, operations, colour, isNamed = false) {
  const { pen, layout, view, run } = scene;
  const taken = [];
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  for (const i of operations) {
    const x1 = Math.max(layout.left, layout.x(view, run.invoked[i]));
    const x2 = Math.min(layout.width, layout.x(view, run.returned(i)));
    if (x2 < layout.left || x1 > layout.width || !run.isClient(run.client[i])) continue;
    const tall = Math.max(5, layout.clientRow);
    pen.strokeRect(x1 - 2, layout.y[run.client[i]] - tall / 2, Math.max(6, x2 - x1 + 4), tall);
    if (!isNamed) continue;
    pen.font = `600 ${SMALL_FONT}`;
    const name = `${run.kinds[run.kind[i]]} ${run.mids[run.operationMid[i]]}`;
    const y = layout.y[run.client[i]];
    const width = pen.measureText(name).width;
    const places = [["left", x2 + 6, x2 + 6 + width], ["right", x1 - 6 - width, x1 - 6]];
    const free = places.find(([, left, right]) => left > layout.left && right < layout.width
      && !taken.some((box) => overlaps(box, [left, y - 5, right, y + 5])));
    if (free) {
      taken.push([free[1], y - 5, free[2], y + 5]);
      haloText(scene, name, free[0] === "left" ? free[1] : free[2], y, colour, free[0]);
    }
    pen.lineWidth = 2;
    pen.strokeStyle = colour;
  }
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
  if (layout.clientRow >= 10) {
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
    if (layout.left > 60) pen.fillText("replica", right, layout.baseline(replica) + 8);
  });
  if (layout.height - layout.lanesBottom > 20) pen.fillText("others", right, layout.lanesBottom + 22);
}

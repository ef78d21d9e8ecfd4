// Where things stand: time -> x, process -> y.

const AXIS_HEIGHT = 26;
const EVENTS_HEIGHT = 22;
const LANE_BAR = 8;
const LEAST_SPAN = 20;
const CLIENT_ROW = 11;
const MOST_CLIENT_ROWS = 16;

/** The part of the time that is shown. Times are microseconds. */
class View {
    constructor(run) {
        this.first = run.start;
        this.last = run.finish;
        this.showAll();
    }

    get span() {
        return this.to - this.from;
    }

    showAll() {
        const margin = (this.last - this.first) * 0.01;
        this.show(this.first - margin, this.last + margin);
    }

    /** Show a part of the time, with at least `LEAST_SPAN` and within the run and its margins. */
    show(from, to) {
        const margin = (this.last - this.first) * 0.01;
        const most = this.last - this.first + 2 * margin;
        const span = Math.min(most, Math.max(LEAST_SPAN, to - from));
        const middle = (from + to) / 2;
        this.from = Math.min(Math.max(middle - span / 2, this.first - margin), this.last + margin - span);
        this.to = this.from + span;
    }

    zoom(factor, around = (this.from + this.to) / 2) {
        const span = Math.min(Math.max(this.span * factor, LEAST_SPAN), (this.last - this.first) * 1.02);
        const before = (around - this.from) / this.span;
        this.show(around - before * span, around + (1 - before) * span);
    }

    pan(time) {
        this.show(this.from + time, this.to + time);
    }
}

/** Places on the canvas, for a width in CSS pixels. Lanes are: the clients, each replica, the rest. */
class Layout {
    constructor(run) {
        this.run = run;
        // Many clients share rows: those of explore take a new ID now and then.
        this.clientRows = Math.min(MOST_CLIENT_ROWS, run.clients.length);
        this.clientRow = CLIENT_ROW;
        this.clientsTop = AXIS_HEIGHT + EVENTS_HEIGHT + 6;
        this.clientsHeight = this.clientRows ? this.clientRow * this.clientRows + 10 : 0;
        const replicas = run.replicas.length;
        this.laneHeight = replicas <= 5 ? 72 : replicas <= 9 ? 58 : 46;
        this.lanesTop = this.clientsTop + this.clientsHeight + (run.clients.length ? 10 : 0);
        const strangers = run.processes.length > run.clients.length + replicas;
        this.lanesBottom = this.lanesTop + this.laneHeight * replicas;
        this.height = this.lanesBottom + (strangers ? 40 : 6);
        this.y = Float64Array.from(run.processes, (_, process) => this.#y(process));
        this.resize(1000);
    }

    resize(width) {
        this.width = width;
        this.left = width < 640 ? 48 : 76;
        this.plotWidth = Math.max(50, width - this.left - 8);
    }

    #y(process) {
        if (this.run.isClient(process))
            return this.clientsTop + 5 + ((process % this.clientRows) + 0.5) * this.clientRow;
        if (!this.run.isPeer(process)) return this.lanesBottom + 22;
        return this.baseline(process - this.run.clients.length);
    }

    laneTop(replica) {
        return this.lanesTop + replica * this.laneHeight;
    }

    /** The line on which a replica sends and receives: log lines have room below, densities above. */
    baseline(replica) {
        return this.laneTop(replica) + this.laneHeight - 24;
    }

    x(view, time) {
        return this.left + ((time - view.from) / view.span) * this.plotWidth;
    }

    time(view, x) {
        return view.from + ((x - this.left) / this.plotWidth) * view.span;
    }

    /** The replica whose lane holds a y, or -1. */
    replicaAt(y) {
        const replica = Math.floor((y - this.lanesTop) / this.laneHeight);
        return replica >= 0 && replica < this.run.replicas.length ? replica : -1;
    }

    /** The row of clients that holds a y, or -1. */
    clientRowAt(y) {
        const row = Math.floor((y - this.clientsTop - 5) / this.clientRow);
        return row >= 0 && row < this.clientRows ? row : -1;
    }
}

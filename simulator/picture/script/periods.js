// What holds for a while: leaders, lives, pauses and partitions, from events and messages.

/** For each replica, by its place among the replicas: the leaders it names, and its hard times. */
class Periods {
    constructor(run) {
        this.run = run;
        this.downs = run.replicas.map(() => []);
        this.pauses = run.replicas.map(() => []);
        this.slows = run.replicas.map(() => []);
        this.partitions = [];
        this.openCuts = [];
        this.#takeEvents();
        this.leaders = run.replicas.map(() => []);
        this.#takeLeaders();
    }

    #takeEvents() {
        const { run } = this;
        const open = { downs: [], pauses: [], slows: [] };
        const begin = (list, replica, time, why) => {
            if (replica >= 0 && !open[list][replica])
                this[list][replica].push((open[list][replica] = { from: time, to: run.finish, why }));
        };
        const finish = (list, replica, time) => {
            if (open[list][replica]) open[list][replica].to = time;
            open[list][replica] = null;
        };
        for (const [time, kind, data] of run.events) {
            const replica = run.replicas.indexOf(data.replica);
            if (kind === "kill" || kind === "restart" || kind === "end") {
                finish("pauses", replica, time);
                begin(
                    "downs",
                    replica,
                    time,
                    kind === "restart" ? "restarting" : kind === "kill" ? "killed" : "died",
                );
            } else if (kind === "back") finish("downs", replica, time);
            else if (kind === "pause") begin("pauses", replica, time, "paused");
            else if (kind === "resume") finish("pauses", replica, time);
            else if (kind === "slow") {
                // The slowness of several events adds up, and each change of the sum is told.
                finish("slows", replica, time);
                begin("slows", replica, time, slowness(data));
            } else if (kind === "slow_end") finish("slows", replica, time);
            else if (kind === "partition" || kind === "one_way" || kind === "heal")
                this.#cut(time, kind, data);
        }
    }

    #cut(time, kind, data) {
        const lasts = (cut) => kind === "one_way" && cut.oneWay;
        for (const cut of this.openCuts) if (!lasts(cut)) cut.to = time;
        this.openCuts = this.openCuts.filter(lasts);
        if (kind === "heal") return;
        const side = data.side ?? data.from ?? [];
        const others = data.to ?? this.run.replicas.filter((id) => !side.includes(id));
        const sides = this.run.replicas.map((id) =>
            side.includes(id) ? "side-a" : others.includes(id) ? "side-b" : null,
        );
        const cut = { from: time, to: this.run.finish, sides, oneWay: kind === "one_way" };
        this.partitions.push(cut);
        this.openCuts.push(cut);
    }

    #takeLeaders() {
        const { run } = this;
        const first = run.clients.length;
        const told = run.events.filter(([, kind]) => kind === "leader");
        let next = 0;
        const current = run.replicas.map(() => null);
        const number = new Map(run.replicas.map((id, i) => [id, i]));
        const named = run.leaders.map((id) => number.get(id) ?? -1);
        const tellUntil = (time) => {
            for (; next < told.length && told[next][0] <= time; next++) {
                const [at, , { replica, by, term }] = told[next];
                const speaker = number.get(by ?? replica);
                if (speaker !== undefined)
                    this.#name(current, speaker, number.get(replica) ?? -1, term ?? 0, at);
            }
        };
        for (let i = 0; i < run.sent.length; i++) {
            tellUntil(run.sent[i]);
            const speaker = run.from[i] - first;
            if (speaker < 0 || speaker >= current.length || !run.leader[i]) continue;
            this.#name(current, speaker, named[run.leader[i]], run.term[i], run.sent[i]);
        }
        tellUntil(Infinity);
        this.#endWithLives();
    }

    /** One statement: `speaker` names `leader`. A message to a client has no term. */
    #name(current, speaker, leader, term, time) {
        const now = current[speaker];
        if (now && now.leader === leader && (!term || !now.term || now.term === term)) {
            now.term ||= term;
            return;
        }
        if (now) now.to = time;
        const period = { from: time, to: this.run.finish, leader, term };
        this.leaders[speaker].push((current[speaker] = period));
    }

    /** A replica that is down names no leader. */
    #endWithLives() {
        this.leaders.forEach((periods, replica) => {
            for (const down of this.downs[replica]) {
                const period = periods.find(({ from, to }) => from <= down.from && down.from < to);
                if (period) period.to = down.from;
            }
        });
    }

    /** The periods in which a replica names itself as the leader, of all replicas, in order. */
    leaderships() {
        const own = this.leaders.flatMap((periods, replica) =>
            periods.filter(({ leader }) => leader === replica).map((period) => ({ ...period, replica })),
        );
        return own.sort((a, b) => a.from - b.from);
    }
}

/** By how much a replica is slow, in words. */
function slowness({ by }) {
    return by > 0 ? `slow, +${formatDuration(by * SECOND)}` : "slow";
}

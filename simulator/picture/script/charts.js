// Latency over time and its distribution, and the messages per second by type.

const MEDIAN_BINS = 60;
const RATE_BINS = 80;
const DISTRIBUTION_BINS = 60;
const QUANTILES = [
    [0.5, "median"],
    [0.9, "90 %"],
    [0.99, "99 %"],
];

class Charts {
    constructor(app) {
        this.app = app;
        const { run } = app;
        this.requests = requestsOf(run);
        this.answered = this.requests.filter((one) => one.isAnswered);
        this.open = this.requests.filter((one) => !one.isAnswered);
        this.sorted = Float64Array.from(this.answered, (one) => Math.max(1, one.latency)).sort();
        this.rates = this.#countRates(run, app.groups);
        this.#describe();
    }

    draw() {
        const { palette } = this.app;
        if (this.sorted.length) {
            this.#drawLatency(new Plot(element("latency"), palette), palette);
            this.#drawDistribution(new Plot(element("distribution"), palette), palette);
        }
        this.#drawRates(new Plot(element("rates"), palette), palette);
    }

    get #span() {
        const { run } = this.app;
        return { low: run.start, high: run.finish };
    }

    get #range() {
        const low = 10 ** Math.floor(Math.log10(this.sorted[0]));
        const high = 10 ** Math.ceil(Math.log10(this.sorted.at(-1) + 1));
        return { low, high: Math.max(high, low * 10), isLogarithmic: true };
    }

    #drawLatency(plot, palette) {
        const { run } = this.app;
        plot.scales(this.#span, this.#range);
        plot.drawAxes((time) => formatTime(time, SECOND), formatDuration);
        const isRead = (one) => run.kinds[run.kind[one.first]] === "get";
        const point = (one) => [run.invoked[one.first], Math.max(1, one.latency)];
        const size = this.answered.length > 3000 ? 2 : 3;
        plot.pen.globalAlpha = this.answered.length > 3000 ? 0.45 : 0.75;
        plot.dots(this.answered.filter(isRead).map(point), palette.peer0, size);
        plot.dots(this.answered.filter((one) => !isRead(one)).map(point), palette.peer1, size);
        plot.pen.globalAlpha = 1;
        plot.path(this.#medians(), palette.ink, 1.8);
        plot.pen.font = LABEL_FONT;
        for (const one of this.open)
            haloText(
                { pen: plot.pen, palette },
                "✕",
                plot.x.at(run.invoked[one.first]),
                PLOT.top + 4,
                palette.bad,
                "center",
            );
    }

    /** The median latency in each stretch of the run that has requests. */
    #medians() {
        const { run } = this.app;
        const width = (run.finish - run.start) / MEDIAN_BINS;
        const bins = Array.from({ length: MEDIAN_BINS }, () => []);
        for (const one of this.answered) {
            bins[Math.min(MEDIAN_BINS - 1, Math.floor((run.invoked[one.first] - run.start) / width))].push(
                Math.max(1, one.latency),
            );
        }
        return bins.flatMap((some, i) =>
            some.length ? [[run.start + (i + 0.5) * width, median(some)]] : [],
        );
    }

    #drawDistribution(plot, palette) {
        const { low, high } = this.#range;
        const factor = (high / low) ** (1 / DISTRIBUTION_BINS);
        const counts = new Float64Array(DISTRIBUTION_BINS);
        for (const latency of this.sorted) {
            counts[Math.min(DISTRIBUTION_BINS - 1, Math.floor(Math.log(latency / low) / Math.log(factor)))]++;
        }
        const most = counts.reduce((a, b) => Math.max(a, b), 1);
        plot.scales({ low, high, isLogarithmic: true }, { low: 0, high: most * 1.05 });
        plot.drawAxes(formatDuration, formatCount);
        counts.forEach(
            (count, i) =>
                count && plot.bar(low * factor ** i, low * factor ** (i + 1), 0, count, palette.peer0),
        );
        QUANTILES.forEach(([fraction, name], i) => {
            const value = quantile(this.sorted, fraction);
            plot.mark(value, name, PLOT.top + 8 + 16 * i, palette.ink);
        });
    }

    #countRates(run, groups) {
        const width = (run.finish - run.start) / RATE_BINS;
        const counts = groups.all.map(() => new Float64Array(RATE_BINS));
        const place = new Map(groups.all.map((group, i) => [group.number, i]));
        for (let i = 0; i < run.sent.length; i++) {
            const bin = Math.min(RATE_BINS - 1, Math.floor((run.sent[i] - run.start) / width));
            counts[place.get(groups.of[run.type[i]])][bin]++;
        }
        return { width, counts };
    }

    #drawRates(plot, palette) {
        const { run, groups } = this.app;
        const { width, counts } = this.rates;
        const perSecond = SECOND / width;
        const totals = Array.from({ length: RATE_BINS }, (_, bin) =>
            counts.reduce((sum, some) => sum + some[bin], 0),
        );
        const most = Math.max(1, ...totals) * perSecond;
        plot.scales(this.#span, { low: 0, high: most * 1.05 });
        plot.drawAxes((time) => formatTime(time, SECOND), formatCount);
        const base = new Float64Array(RATE_BINS);
        groups.all.forEach((group, i) => {
            counts[i].forEach((count, bin) => {
                if (!count) return;
                const start = run.start + bin * width;
                plot.bar(
                    start,
                    start + width,
                    base[bin],
                    base[bin] + count * perSecond,
                    palette[group.colour],
                );
                base[bin] += count * perSecond;
            });
        });
    }

    #describe() {
        const { run, groups } = this.app;
        const quantiles = QUANTILES.map(
            ([fraction, name]) => `${name} ${formatDuration(quantile(this.sorted, fraction))}`,
        );
        const summary = this.sorted.length
            ? `${plural(this.answered.length, "request")} answered: ${quantiles.join(", ")}, slowest ${formatDuration(this.sorted.at(-1))}`
            : "No request was answered";
        const open = this.open.length ? `; ${formatCount(this.open.length)} without an ok (✕)` : "";
        for (const name of ["latency", "distribution"])
            element(name).setAttribute("aria-label", summary + open);
        element("latency-note").textContent = `${plural(this.requests.length, "request")}${open}`;
        element("distribution-note").textContent = summary;
        const seconds = (run.finish - run.start) / SECOND;
        const rates = groups.all.map((group) => `${group.label} ${(group.count / seconds).toFixed(1)}`);
        element("rates").setAttribute("aria-label", `Messages per second on average: ${rates.join(", ")}`);
        element("rates-note").textContent =
            `${plural(run.sent.length, "message")} in ${seconds.toFixed(1)} s`;
        fillTable(
            element("rates-table"),
            ["Type", "Messages", "Per second"],
            groups.all.map((group) => [
                group.label,
                formatCount(group.count),
                (group.count / seconds).toFixed(1),
            ]),
        );
    }
}

// The colours of the theme, of message types and of leaders. The style sheet has the values.

const PEER_COLOURS = 6;
const LEADER_COLOURS = 6;
const GROUP_COLOURS = [
    "peer0",
    "peer1",
    "peer2",
    "peer3",
    "peer4",
    "peer5",
    "other",
    "request",
    "ok",
    "refusal",
];
const OTHER = PEER_COLOURS;
const [REQUEST, OK, REFUSAL] = [OTHER + 1, OTHER + 2, OTHER + 3];
const REFUSALS = new Set(["redirect", "fail"]);

/** The types of messages in groups of one colour each: the frequent ones alone, the rare ones together. */
class Groups {
    constructor(run) {
        const counts = new Array(run.types.length).fill(0);
        const ofClients = new Array(run.types.length).fill(0);
        for (let i = 0; i < run.sent.length; i++) {
            counts[run.type[i]]++;
            if (run.isClient(run.from[i])) ofClients[run.type[i]] = REQUEST;
            else if (run.isClient(run.to[i])) {
                ofClients[run.type[i]] = REFUSALS.has(run.types[run.type[i]]) ? REFUSAL : OK;
            }
        }
        const peers = run.types.map((_, type) => type).filter((type) => !ofClients[type]);
        peers.sort((a, b) => counts[b] - counts[a]);
        this.of = Uint8Array.from(ofClients);
        peers.forEach((type, rank) => {
            this.of[type] = Math.min(rank, OTHER);
        });
        this.all = GROUP_COLOURS.map((colour, group) => this.#describe(run, group, colour, counts)).filter(
            (group) => group.count,
        );
    }

    #describe(run, number, colour, counts) {
        const types = run.types.map((_, type) => type).filter((type) => this.of[type] === number);
        const count = types.reduce((sum, type) => sum + counts[type], 0);
        const names = types.map((type) => run.types[type]);
        const label = number === OTHER && names.length > 1 ? `${names.length} other types` : names.join(", ");
        return { number, colour, label, names, count, withClients: number > OTHER };
    }
}

/** The colours of the current theme, by the names of the style sheet. */
function readPalette() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = [
        "ink",
        "muted",
        "line",
        "grid",
        "paper",
        "card",
        "accent",
        "lost",
        "good",
        "bad",
        "warn",
        "side-a",
        "side-b",
        "down",
        "fault",
        "declined",
        "unknown",
        ...GROUP_COLOURS,
    ];
    const palette = Object.fromEntries(names.map((name) => [name, get(name)]));
    palette.groups = GROUP_COLOURS.map(get);
    palette.leaders = Array.from({ length: LEADER_COLOURS }, (_, i) => get(`leader${i}`));
    palette.hatch = hatch(palette.muted);
    palette.dots = dots(palette.muted);
    return palette;
}

/** Dots, for slow replicas. */
function dots(colour) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(1, 1, 2, 2);
    pen.fillRect(4, 4, 2, 2);
    return pen.createPattern(tile, "repeat");
}

/** Diagonal lines, for pauses. */
function hatch(colour) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const shift of [-8, 0, 8]) {
        pen.moveTo(shift, 8);
        pen.lineTo(shift + 8, 0);
    }
    pen.stroke();
    return pen.createPattern(tile, "repeat");
}

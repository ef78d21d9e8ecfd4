// The texts of a page whose contrast is too low, by WCAG 2.1, 1.4.3: 4.5, or 3 for large text.

function channels(colour) {
    return (colour.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
}

/** A colour that may be transparent, over a ground that is not. */
function over(colour, ground) {
    const alpha = colour[3] ?? 1;
    return ground.map((channel, i) => colour[i] * alpha + channel * (1 - alpha));
}

function groundOf(node) {
    if (!node) return [255, 255, 255];
    const own = channels(getComputedStyle(node).backgroundColor);
    return (own[3] ?? 1) === 1 ? own.slice(0, 3) : over(own, groundOf(node.parentElement));
}

function luminance(colour) {
    const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = colour.map((channel) => linear(channel / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a, b) {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
}

/** The texts of the page outside of its canvases. */
function lowTexts() {
    const low = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        const node = walker.currentNode.parentElement;
        if (!text || !node.checkVisibility() || node.closest("script, :disabled, option")) continue;
        const style = getComputedStyle(node);
        const size = parseFloat(style.fontSize);
        const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const ground = groundOf(node);
        const found = contrast(over(channels(style.color), ground), ground);
        if (found < (isLarge ? 3 : 4.5)) low.push(`${text.slice(0, 30)}: ${found.toFixed(2)}`);
    }
    return low;
}

/** The colours of texts in the diagram, which stand on the colour of a card. */
function lowColours() {
    const { palette } = picture;
    const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const named = ["ink", "muted", "lost", "bad", "warn", "accent"].map((name) => [name, palette[name]]);
    return [...named, ...palette.groups.map((colour, group) => [`type ${group}`, colour])]
        .map(([name, colour]) => [name, contrast(rgb(colour), rgb(palette.card))])
        .filter(([, found]) => found < 4.5);
}

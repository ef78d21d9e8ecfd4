// The theme of the page: that of the system, or the one that was chosen here before.
//
// It runs before the page has a body, so that no page begins in the wrong colours.
"use strict";

class Theme {
    constructor() {
        this.system = matchMedia("(prefers-color-scheme: dark)");
        this.choice = this.#remembered();
        this.onChange = () => {};
        this.#apply();
        this.system.addEventListener("change", () => this.#apply());
        window.addEventListener("beforeprint", () => this.#apply("light"));
        window.addEventListener("afterprint", () => this.#apply());
    }

    /** Take a choice of the reader: "auto", "light" or "dark". */
    choose(choice) {
        this.choice = choice;
        try {
            localStorage.setItem("theme", choice);
        } catch {
            // A page from a file may have no storage. Then the choice lasts as long as the page.
        }
        this.#apply();
    }

    #remembered() {
        try {
            return localStorage.getItem("theme") ?? "auto";
        } catch {
            return "auto";
        }
    }

    #apply(theme = this.choice) {
        const isDark = theme === "auto" ? this.system.matches : theme === "dark";
        document.documentElement.dataset.theme = isDark ? "dark" : "light";
        this.onChange();
    }
}

const theme = new Theme();

// What the scripts of a page ask of its document while they are read; Node has none.
globalThis.document = { documentElement: { lang: "en" }, createTreeWalker: () => ({}), createComment: () => ({}) };

import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses: the page works in any folder of any server.
  base: "./",
  // The page's policy forbids scripts in the page itself, and all browsers with WebAssembly modules know preloads.
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  worker: { format: "es" },
});

import { defineConfig } from "vite";

// The server sends the page with `default-src 'self'`: nothing may be inlined, no scripts, styles or
// data: addresses. With STEPDB_HTTP=HOST:PORT the development server passes questions on to it.
export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
  server: {
    proxy: {
      "/api": { target: `http://${process.env.STEPDB_HTTP ?? "127.0.0.1:7421"}`, ws: true },
    },
  },
});

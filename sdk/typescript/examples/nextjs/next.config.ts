import path from "node:path";
import type { NextConfig } from "next";

// Next.js starts its pages with scripts that stand in them; while one develops, it evaluates some, too.
const SCRIPTS = process.env.NODE_ENV === "development" ? "'unsafe-inline' 'unsafe-eval'" : "'unsafe-inline'";

/** Nothing is loaded from another host. */
const POLICY = `default-src 'self'; script-src 'self' ${SCRIPTS}; style-src 'self' 'unsafe-inline'; img-src 'self' data:`;

const config: NextConfig = {
  poweredByHeader: false,
  // The client is a link out of this folder.
  turbopack: { root: path.join(import.meta.dirname, "..", "..") },
  headers: async () => [{ source: "/:path*", headers: [{ key: "Content-Security-Policy", value: POLICY }] }],
};

export default config;

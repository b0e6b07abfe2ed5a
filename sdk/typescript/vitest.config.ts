import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    setupFiles: ["tests/setup.ts"],
    // They share a server that spoils answers.
    fileParallelism: false,
    reporters: ["verbose"],
    testTimeout: 30_000,
  },
});

import { beforeEach } from "vitest";

const NEEDED = ["FEATURE_STORE_API_URL", "FEATURE_STORE_API_KEY", "FEATURE_STORE_TEST_CONTROL_URL"];

beforeEach(({ skip }) => {
  const lacking = NEEDED.filter((name) => !process.env[name]);
  skip(lacking.length > 0, `${lacking.join(", ")} not set: \`.venv/bin/pytest tests/sdk_typescript\` serves a store`);
});

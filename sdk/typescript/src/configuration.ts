/** Where the store is, the key, and how patient a client is. */

import { ConfigurationError } from "./errors.js";

/** What a client may be given. */
export interface Options {
  /** The API's address, for example `http://127.0.0.1:18000`; FEATURE_STORE_API_URL where absent. */
  url?: string | undefined;
  /** A key of the store (`feature-store keys create` makes one); FEATURE_STORE_API_KEY where absent. Keep it on servers. */
  apiKey?: string | undefined;
  /** Milliseconds for a whole answer to come, for each attempt; a minute where absent. */
  timeoutMs?: number | undefined;
  /** How often a request is sent at most; 6 where absent. */
  attempts?: number | undefined;
}

/** Options, complete and checked. */
export interface Configuration {
  /** Without a slash at its end. */
  readonly url: string;
  readonly apiKey: string;
  readonly timeoutMs: number;
  readonly attempts: number;
}

/** From the options, or the environment where they are absent; throws ConfigurationError. */
export function configurationOf({ url, apiKey, timeoutMs = 60_000, attempts = 6 }: Options): Configuration {
  if (!(timeoutMs > 0) || !(attempts >= 1)) {
    throw new ConfigurationError(`timeoutMs is ${timeoutMs} and attempts ${attempts}: both are more than nothing`);
  }
  return {
    url: addressOf(url || process.env.FEATURE_STORE_API_URL || ""),
    apiKey: keyOf(apiKey || process.env.FEATURE_STORE_API_KEY || ""),
    timeoutMs,
    attempts,
  };
}

function addressOf(given: string): string {
  if (!given.trim()) {
    throw new ConfigurationError(
      "where is the store? Give its url, or set FEATURE_STORE_API_URL, for example http://127.0.0.1:18000",
    );
  }
  const url = URL.canParse(given.trim()) ? new URL(given.trim()) : null;
  const isPlain = url !== null && !url.username && !url.password && !url.search && !url.hash;
  if (!isPlain || !["http:", "https:"].includes(url.protocol)) {
    throw new ConfigurationError("the store's address is http(s)://host:port, maybe with a path, and nothing else");
  }
  return url.href.replace(/\/+$/, "");
}

/** The key without what a shell or a file left around it. No message shows it. */
function keyOf(given: string): string {
  const key = given.trim();
  if (!key) {
    throw new ConfigurationError(
      "the store needs a key: give apiKey, or set FEATURE_STORE_API_KEY; `feature-store keys create` makes one",
    );
  }
  if (!/^[!-~]+$/.test(key)) {
    throw new ConfigurationError("the key holds characters that no key has: was something else pasted?");
  }
  return key;
}

"use client";

import type { ReactNode } from "react";

/** What is left: a mistake in this site. What the store says is told by components/trouble.tsx. */
export default function Failure({
  error,
  reset,
}: {
  error: Error & { digest?: string };
  reset: () => void;
}): ReactNode {
  return (
    <section className="trouble" role="alert">
      <h1>This page could not be made</h1>
      <p>
        The log of this site has more{error.digest ? ` under ${error.digest}` : ""}.{" "}
        <button type="button" onClick={reset}>
          Try again
        </button>
      </p>
    </section>
  );
}

import {
  ConfigurationError,
  ConnectionFailed,
  FeatureStoreError,
  NoPointYet,
  ProblemError,
} from "feature-store-client";
import type { ReactNode } from "react";

/** What a part of a page needs of the store, or what to do where the store does not give it. */
export async function orTrouble(part: () => Promise<ReactNode>): Promise<ReactNode> {
  try {
    return await part();
  } catch (error) {
    if (error instanceof FeatureStoreError) {
      return <Trouble error={error} />;
    }
    throw error;
  }
}

function Trouble({ error }: { error: FeatureStoreError }): ReactNode {
  const { title, steps } = adviceOn(error);
  return (
    <section className="trouble" role="alert">
      <h1>{title}</h1>
      <ul>
        {steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ul>
      <details>
        <summary>What the client said</summary>
        <p>{error.message}</p>
        {error instanceof ProblemError && error.requestId && (
          <p>
            Request <code>{error.requestId}</code>: the store’s log has more under it.
          </p>
        )}
      </details>
    </section>
  );
}

function adviceOn(error: FeatureStoreError): { title: string; steps: string[] } {
  if (error instanceof ConfigurationError) {
    return {
      title: "This site does not know its feature store yet",
      steps: ["Set FEATURE_STORE_API_URL and FEATURE_STORE_API_KEY where this site runs, and start it again."],
    };
  }
  if (error instanceof ConnectionFailed) {
    return {
      title: "The feature store cannot be reached",
      steps: [
        "See whether the store runs: `make up` starts it, and its address answers /healthz.",
        "See whether FEATURE_STORE_API_URL is the address of its API, then load this page again.",
      ],
    };
  }
  if (error instanceof ProblemError && error.status === 401) {
    return {
      title: "The feature store does not accept the key of this site",
      steps: [
        "Make a new key: `feature-store keys create dashboards --scope read`.",
        "Put it into FEATURE_STORE_API_KEY where this site runs, and start it again.",
      ],
    };
  }
  if (error instanceof NoPointYet) {
    return { title: "There is no value yet", steps: ["Choose another feature, or come back when one was loaded."] };
  }
  return error instanceof ProblemError
    ? { title: error.title, steps: [error.detail, error.remedy].filter(Boolean) }
    : { title: "The feature store gave no answer that can be shown", steps: ["See what the client said."] };
}

import { connection } from "next/server";
import type { ReactNode } from "react";
import { orTrouble } from "@/components/trouble";
import { amountOf, instantOf } from "@/lib/format";
import { type Newest, newestByGroup } from "@/lib/newest";

const GROUPS: Readonly<Record<string, string>> = {
  macro: "Macro",
  crypto: "Crypto",
  cex: "Centralised exchanges",
  dex: "Decentralised exchanges",
  onchain: "On chain",
};

/** The newest value of every feature; what is stale is marked. */
export default async function NewestPage(): Promise<ReactNode> {
  await connection();
  return orTrouble(async () => {
    const groups = await newestByGroup();
    return (
      <>
        <h1>Newest values</h1>
        <Summary all={[...groups.values()].flat()} />
        {[...groups].map(([name, features]) => (
          <Group key={name} title={GROUPS[name] ?? name} features={features} />
        ))}
      </>
    );
  });
}

function Summary({ all }: { all: Newest[] }): ReactNode {
  const told = all.filter(({ point }) => point !== undefined);
  const stale = told.filter(({ point }) => point?.stale);
  return (
    <p className="summary">
      {all.length} features: {told.length - stale.length} fresh, {stale.length} stale, {all.length - told.length}{" "}
      without a value yet. Instants are UTC.
    </p>
  );
}

function Group({ title, features }: { title: string; features: Newest[] }): ReactNode {
  return (
    <section>
      <h2>{title}</h2>
      <div className="wide">
        <table>
          <thead>
            <tr>
              <th>Feature</th>
              <th className="number">Value</th>
              <th>Of</th>
              <th>Known since</th>
              <th className="number">Confidence</th>
              <th>State</th>
            </tr>
          </thead>
          <tbody>
            {features.map((feature) => (
              <Line key={feature.spec.id} {...feature} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Line({ spec, point }: Newest): ReactNode {
  const state = point === undefined ? "no value yet" : point.stale ? "stale" : "fresh";
  return (
    <tr className={state.replaceAll(" ", "-")}>
      <td>
        <span className="id">{spec.id}</span>
        <span className="description">{spec.description}</span>
      </td>
      <td className="number value">{point ? amountOf(point.value, spec.unit) : "–"}</td>
      <td className="instant">{point ? instantOf(point.ts) : "–"}</td>
      <td className="instant">{point ? instantOf(point.availableAt) : "–"}</td>
      <td className="number">{point ? point.confidence.toFixed(2) : "–"}</td>
      <td>
        <span className="state">{state}</span>
      </td>
    </tr>
  );
}

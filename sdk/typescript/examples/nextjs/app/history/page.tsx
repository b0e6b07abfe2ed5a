import type { FeatureSpec } from "feature-store-client";
import { connection } from "next/server";
import type { ReactNode } from "react";
import { Chart } from "@/components/chart";
import { orTrouble } from "@/components/trouble";
import { amountOf, changeOf, dayOf, nowOf } from "@/lib/format";
import { type Asked, dailyFeatures, type History, historyOf } from "@/lib/history";

const USUAL = "macro/us/net_liquidity_usd";

type Search = Readonly<Record<string, string | string[] | undefined>>;

/** A feature's history as it was known on a day, and as it is known now. */
export default async function HistoryPage({ searchParams }: { searchParams: Promise<Search> }): Promise<ReactNode> {
  await connection();
  const asked = askedOf(await searchParams);
  return orTrouble(async () => {
    const features = await dailyFeatures();
    const history = await historyOf(asked);
    return (
      <>
        <h1>Known then, known now</h1>
        <p className="summary">{history.spec.description}</p>
        <Form features={features} asked={{ ...asked, known: history.known }} />
        {history.rows.length ? <Told history={history} /> : <p>There are no values around {history.known}.</p>}
      </>
    );
  });
}

function askedOf({ feature, known, backfilled }: Search): Asked {
  const isDay = typeof known === "string" && /^\d{4}-\d{2}-\d{2}$/.test(known) && !Number.isNaN(Date.parse(known));
  return {
    feature: typeof feature === "string" && feature ? feature : USUAL,
    known: isDay ? known : undefined,
    withBackfilled: backfilled === "on",
  };
}

function Form({ features, asked }: { features: FeatureSpec[]; asked: Asked }): ReactNode {
  return (
    // Made anew for each answer, so that its fields show what was asked.
    <form key={JSON.stringify(asked)} action="/history">
      <label>
        Feature
        <select name="feature" defaultValue={asked.feature}>
          {features.map(({ id }) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      </label>
      <label>
        As known on
        <input type="date" name="known" defaultValue={asked.known} required />
      </label>
      <label className="check">
        <input type="checkbox" name="backfilled" defaultChecked={asked.withBackfilled} />
        Take backfilled values as known when they were released
      </label>
      <button type="submit">Show</button>
    </form>
  );
}

function Told({ history }: { history: History }): ReactNode {
  const { rows, known, spec, backfilledShare } = history;
  const isKnown = rows.some((row) => row.knownThen !== null);
  return (
    <>
      <Facts history={history} />
      <p className="legend">
        <span className="then">As known on {known}</span>
        <span className="now">As known now</span>
      </p>
      <Chart rows={rows} known={known} unit={spec.unit} />
      {!isKnown && (
        <p className="note">
          On {known} the store knew nothing of these days: {Math.round(backfilledShare * 100)}% of the values were
          backfilled, and such a value counts as known only from when it was loaded. Take them as known when they were
          released to see them.
        </p>
      )}
    </>
  );
}

function Facts({ history: { rows, spec, known } }: { history: History }): ReactNode {
  const told = rows.flatMap(({ ts, knownThen, knownNow }) => (knownThen === null ? [] : [{ ts, knownThen, knownNow }]));
  const changed = told.filter(({ knownThen, knownNow }) => knownThen !== knownNow);
  const last = told.at(-1);
  const greatest = changed
    .flatMap(({ ts, knownThen, knownNow }) => (knownNow === null ? [] : [{ ts, change: knownNow - knownThen }]))
    .sort((one, other) => Math.abs(other.change) - Math.abs(one.change))[0];
  return (
    <dl className="facts">
      <Fact
        title={`Newest value on ${known}`}
        text={last ? amountOf(last.knownThen, spec.unit) : "not known"}
        of={last?.ts}
      />
      <Fact title="The same, as known now" text={last ? nowOf(last.knownNow, spec.unit) : "not known"} of={last?.ts} />
      <Fact
        title="Changed since"
        text={told.length ? `${changed.length} of ${told.length} values` : "nothing to compare"}
      />
      <Fact
        title="Greatest change"
        text={greatest ? changeOf(greatest.change, spec.unit) : told.length ? "none" : "nothing to compare"}
        of={greatest?.ts}
      />
    </dl>
  );
}

function Fact({ title, text, of }: { title: string; text: string; of?: string | undefined }): ReactNode {
  return (
    <div>
      <dt>{title}</dt>
      <dd>
        {text} {of && <small>of {dayOf(of)}</small>}
      </dd>
    </div>
  );
}

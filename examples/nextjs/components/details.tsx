/** Pairs of a word and what it stands for; what is not known is left out. */
export function Details({ rows }: { rows: [string, string | null | undefined][] }) {
  return (
    <dl>
      {rows.map(([word, value]) =>
        value ? (
          <div key={word}>
            <dt>{word}</dt>
            <dd>{value}</dd>
          </div>
        ) : null,
      )}
    </dl>
  )
}

/** `work`, done when it is first asked for and not again; done again if it has failed. */
export function lazy<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let started: Promise<Result> | undefined;
  return () => {
    if (started === undefined) {
      started = work();
      started.catch(() => {
        started = undefined;
      });
    }
    return started;
  };
}

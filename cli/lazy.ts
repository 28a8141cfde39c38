/** Runs `work` at the first call and returns the same promise to all calls. A failure is not kept: the next call retries. */
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

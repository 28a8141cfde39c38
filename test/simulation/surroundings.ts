import type { VirtualClock } from '../fakes/clock.ts';
import type { Weather } from './faults.ts';
import type { Journal } from './journal.ts';
import type { RandomSource } from './random.ts';
import type { Watch } from './watch.ts';

/** What every actor of a world is given. */
export interface Surroundings {
  clock: VirtualClock;
  random: RandomSource;
  weather: Weather;
  journal: Journal;
  watch: Watch;
}

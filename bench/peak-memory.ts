import { readFileSync } from 'node:fs';

/**
 * Peak of this process's resident set, in MB. Where there is a /proc, `VmHWM` of proc(5): `resourceUsage` says no less
 * than the process had that forked this one, since Linux keeps that figure over exec.
 */
export function peakMb(): number {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kib !== undefined) return (Number(kib) * 1_024) / 1e6;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  return process.resourceUsage().maxRSS / 1_000;
}

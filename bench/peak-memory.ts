import { readFileSync } from 'node:fs';

/**
 * Peak resident set size of this process in MB. Uses `VmHWM` of proc(5) if /proc exists: `resourceUsage` includes the peak
 * of the parent process, which Linux keeps across exec.
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

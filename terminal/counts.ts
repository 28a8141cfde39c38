/** `1,200` */
export function formatNumber(count: number): string {
  return count.toLocaleString('en');
}

/** `1 document` or `1,200 documents`. */
export function formatCount(count: number, noun: string): string {
  return `${formatNumber(count)} ${noun}${count === 1 ? '' : 's'}`;
}

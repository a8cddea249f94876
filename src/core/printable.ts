/** A name or text from a file must not steer the terminal: control characters become U+FFFD. */
export const printable = (text: string): string => text.replace(/\p{Cc}/gu, '\u{FFFD}');

// What this browser keeps: the theme, whether letters are shortcuts. Storage may be shut off; then nothing is kept.

/**
 * @param {string} name
 * @returns {string | null}
 */
export function kept(name) {
  try {
    return localStorage.getItem(`atelier.${name}`);
  } catch {
    return null;
  }
}

/**
 * @param {string} name
 * @param {string | null} value  null = forget
 */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`atelier.${name}`);
    else localStorage.setItem(`atelier.${name}`, value);
  } catch {
    // Shut off: it holds until the page is left.
  }
}

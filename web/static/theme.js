// Chosen on an earlier visit, set before the first paint. Not a module: it must not wait.
try {
  const theme = localStorage.getItem("atelier.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is shut off: the system's theme stays.
}
document.documentElement.classList.add("js");

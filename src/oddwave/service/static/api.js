// Requests to the service this page came from. A token, where one is asked for, is kept until the tab is closed.

const KEY = "oddwave token";
let asking = null;

function headers(more) {
  const token = sessionStorage.getItem(KEY);
  return { ...(more || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
}

function askToken(again) {
  asking = asking || new Promise((resolve) => {
    const dialog = document.getElementById("token");
    dialog.querySelector(".flag").hidden = !again;
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEY, dialog.querySelector("input").value);
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

async function request(path, options = {}) {
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(path, { ...options, headers: headers(options.headers) });
    if (answer.status !== 401) return answer;
    await askToken(tries > 0 || sessionStorage.getItem(KEY) !== null);
  }
}

async function checked(answer) {
  if (answer.ok) return answer;
  let detail = `the service answered ${answer.status}`;
  try { detail = (await answer.json()).detail || detail; } catch { /* no JSON: the status says it */ }
  throw new Error(detail);
}

export const get = async (path) => (await checked(await request(path))).json();

export const post = async (path, body) => (await checked(await request(path, {
  method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
}))).json();

export const sendFiles = async (path, files) => {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return (await checked(await request(path, { method: "POST", body: form }))).json();
};

export const excerpt = async (id) => {
  const answer = await checked(await request(`v1/history/${id}/excerpt`));
  const kind = answer.headers.get("content-type") || "";
  return kind.startsWith("application/json") ? { values: await answer.json() } : { url: URL.createObjectURL(await answer.blob()) };
};

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return new URLSearchParams(given).toString();
}

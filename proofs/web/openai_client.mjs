/** Twelve steps of OpenAI's unchanged client for JavaScript against a studio that runs. In a folder with
 * `npm install openai`: HOST=http://127.0.0.1:8080 TOKEN=atelier_… node openai_client.mjs
 * The token needs the scopes look, draw and ask. Ends with status 1 when a step fails. */
import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: `${process.env.HOST}/v1`, apiKey: process.env.TOKEN });
const prompt = "a red house";
const [drawn] = (await client.images.generate({ prompt, n: 1, response_format: "b64_json" })).data;
const png = Buffer.from(drawn.b64_json, "base64"), url = `data:image/png;base64,${drawn.b64_json}`;
const picture = () => toFile(png, "house.png", { type: "image/png" });
const answerer = "atelier-ask";
const messages = [{ role: "user", content: [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url } }] }];
const input = [{ role: "user", content: [{ type: "input_text", text: "What is it?" }, { type: "input_image", image_url: url, detail: "auto" }] }];

async function all(stream) {
  const found = [];
  for await (const one of await stream) found.push(one);
  return found;
}

let video;
const steps = {
  "list the models": async () => (await client.models.list()).data.some(({ id }) => id === answerer),
  "draw two": async () => (await client.images.generate({ prompt, n: 2, response_format: "b64_json" })).data.length === 2,
  "draw one, by a link": async () => (await fetch((await client.images.generate({ prompt, n: 1, response_format: "url" })).data[0].url)).ok,
  "see it come": async () => (await all(client.images.generate({ prompt, stream: true, partial_images: 2 }))).at(-1).type === "image_generation.completed",
  "edit one": async () => (await client.images.edit({ prompt: "make it green", image: await picture(), n: 1 })).data.length === 1,
  "ask": async () => (await client.chat.completions.create({ model: answerer, messages })).choices[0].message.content.length > 0,
  "read an answer as it is written": async () => (await all(client.chat.completions.create({ model: answerer, messages, stream: true }))).length > 1,
  "ask by responses": async () => (await client.responses.create({ model: answerer, input })).output_text.length > 0,
  "read responses as they are written": async () => (await all(client.responses.create({ model: answerer, input, stream: true }))).at(-1).type === "response.completed",
  "make a video": async () => {
    video = await client.videos.create({ prompt: "a boat" });
    while (video.status === "queued" || video.status === "in_progress") {
      await new Promise((done) => setTimeout(done, 1000));
      video = await client.videos.retrieve(video.id);
    }
    return video.status === "completed";
  },
  "download it": async () => (await (await client.videos.downloadContent(video.id)).arrayBuffer()).byteLength > 1000,
  "hear which model there isn't": () => client.images.generate({ prompt, model: "none" }).then(() => false, ({ code }) => code === "model_not_found"),
};

for (const [name, step] of Object.entries(steps)) {
  const right = await step().catch((error) => console.error(error.message));
  console.log(right ? "right" : "WRONG", name);
  if (!right) process.exitCode = 1;
}

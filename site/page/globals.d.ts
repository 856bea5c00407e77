// What the page's scripts find around them once they are joined: FOLDER, engine/client.js, and what other scripts bring.
declare const FOLDER: string;
declare const connect: typeof import("../engine/client.js").connect;
interface Window {
  moeLiteModels: Record<string, string>;
  moeLiteBalance: any;
}

/** Live captions for a video element. The messages are described in docs/live.md. */

export interface Options {
  /** Address of the service; default: where this module came from. */
  service?: string;
  /** Name of a vocabulary, or glosses; default: that of the service. */
  vocabulary?: string | string[] | null;
  /** Where body and hands are found. "auto": on this device if it is fast enough; "device": never a picture is sent. */
  where?: "auto" | "device" | "pictures";
  /** Folder with the files of @mediapipe/holistic, at the address of the page; default: those of the service. */
  files?: string;
  /** Gives a ticket for a service that asks who is there (`POST /api/auth/ticket`, by your server). */
  ticket?: () => Promise<string>;
  /** A sentence ends after a pause of this many milliseconds. */
  endpoint_ms?: number;
  interim?: boolean;
  targets?: string[];
  save?: boolean;
}

export interface Sign {
  gloss: string;
  confidence: number;
  start_ms: number;
  end_ms: number;
  final: boolean;
  unsure: boolean;
}

export interface Caption {
  type: "partial" | "final";
  seq: number;
  segment: number;
  revision: number;
  start_ms: number;
  end_ms: number;
  gloss: Sign[];
  gloss_text: string;
  sentence: string;
  text: Record<string, string | null>;
  confidence: number;
  lag_ms: number;
}

export interface Events {
  ready: CustomEvent<{ session_id: string; resume_token: string; vocabulary: { name: string; glosses: number } }>;
  partial: CustomEvent<Caption>;
  final: CustomEvent<Caption>;
  stats: CustomEvent<{ received: number; used: number; dropped: number; lag_ms: number; fps: number }>;
  warning: CustomEvent<{ code: string; message: string }>;
  error: CustomEvent<{ code: string; message: string; fatal: boolean }>;
  done: CustomEvent<{ usage: Record<string, number> }>;
  /** A frame was sent: 75 points of [x, y, visibility], or null for a picture. */
  frame: CustomEvent<{ points: Float32Array[] | null; landmarks: boolean }>;
  /** What is sent has changed: landmarks, pictures (false), or neither can be (null). problem: a sentence for people. */
  sends: CustomEvent<{ landmarks: boolean | null; problem: string | null }>;
  state: CustomEvent<"off" | "connecting" | "live" | "again">;
}

export class Glossline extends EventTarget {
  constructor(video: HTMLVideoElement, options?: Options);
  readonly state: "off" | "connecting" | "live" | "again";
  start(): Promise<void>;
  stop(): Promise<void>;
  read(vocabulary: string | string[] | null): void;
  addEventListener<K extends keyof Events>(
    type: K,
    listener: (event: Events[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/** `<glossline-captions vocabulary="everyday" where="device">`: the camera with captions over it. */
export class GlosslineCaptions extends HTMLElement {
  readonly client: Glossline | null;
  ticket?: () => Promise<string>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "glossline-captions": GlosslineCaptions;
  }
}

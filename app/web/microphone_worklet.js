// In the thread of the sound: samples of the microphone as pieces of 16-bit PCM, each with its level.

class Pieces extends AudioWorkletProcessor {
  constructor({ processorOptions: { samples } }) {
    super();
    this.samples = samples;
    this.begin();
  }

  begin() {
    this.piece = new Int16Array(this.samples);
    this.filled = this.squares = 0;
  }

  process([[channel]]) {
    for (const sample of channel ?? []) {
      const within = Math.max(-1, Math.min(1, sample));
      this.piece[this.filled++] = Math.round(within * 32767);
      this.squares += within * within;
      if (this.filled < this.samples) continue;
      const { piece } = this;
      this.port.postMessage({ piece, level: Math.sqrt(this.squares / this.samples) }, [piece.buffer]);
      this.begin();
    }
    return true;
  }
}

registerProcessor("pieces", Pieces);

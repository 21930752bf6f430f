// Sign languages that a new set offers, by ISO 639-3 code; another code can be typed.

export const SIGN_LANGUAGES = {
  ase: "American Sign Language (ASL)", aed: "Argentine Sign Language (LSA)", asf: "Australian Sign Language (Auslan)",
  bzs: "Brazilian Sign Language (Libras)", bfi: "British Sign Language (BSL)", csl: "Chinese Sign Language (CSL)",
  dse: "Sign Language of the Netherlands (NGT)", fsl: "French Sign Language (LSF)", gsg: "German Sign Language (DGS)",
  ins: "Indo-Pakistani Sign Language", ise: "Italian Sign Language (LIS)", jsl: "Japanese Sign Language (JSL)",
  kvk: "Korean Sign Language (KSL)", mfs: "Mexican Sign Language (LSM)", pso: "Polish Sign Language (PJM)",
  psr: "Portuguese Sign Language (LGP)", rsl: "Russian Sign Language", ssp: "Spanish Sign Language (LSE)",
  swl: "Swedish Sign Language (STS)", tsm: "Turkish Sign Language (TİD)", mis: "Another one, or signs of one's own",
};

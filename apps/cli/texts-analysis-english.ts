// The words of `semdistill analyze` in English.

export const analysisEnglish = {
  analysisModels: (p: { a: string; b: string; corpus: string; sentences: number }) =>
    `A: ${p.a}, B: ${p.b}; ${p.sentences} sentences of ${p.corpus}`,
  analysisOver: (channel: string) => `over ${channel}`,
  analysisWorst: (snrDb: number) => `where B loses most, at ${snrDb} dB (*wrong word*, [missing word]):`,
  analysisNoWorst: 'no sentence has a lower BLEU-1 with B than with A',
  analysisSent: 'sent',
  analysisReady: (id: string, url: string) => `analysis ${id}; report: ${url}`,
  analysisAccepted: (id: string, state: string) => `analysis ${id}: ${state}`,
  analysisCancelled: (id: string) => `analysis ${id} was cancelled; asked for again it starts afresh`,
  analysisWritten: (file: string) => `written: ${file}`,
  outputFormat: (choices: string, got: string) => `must end in ${choices}, not ${JSON.stringify(got)}`,
  outputNeedsEnd: 'needs the result: leave --no-wait out',
  helpAnalyze: 'compare any two models: all measures, differences with intervals, worst sentences side by side',
  helpAnalyzeModel: (which: string) => `${which}: name or id of a teacher, id of a trial or a hybrid, or TRIAL/FILE`,
  helpAnalyzeCorpus: "name or id of the corpus whose test sentences are sent (default: A's)",
  helpAnalyzeOutput: 'write the report there; .html, .json, .csv (a row a sentence) or .md by its ending',
  helpAnalyzeWorst: 'how many of the worst sentences to show (default: 5)',
  helpAnalyzeList: 'list analyses',
  noAnalyses: (command: string) => `no analyses yet; '${command} analyze A B' makes one`,
};

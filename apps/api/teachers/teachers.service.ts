// Teachers: found by id or name, listed, and asked for (a built-in one, or one trained on a corpus).
import { Inject, Injectable } from '@nestjs/common';
import {
  BUILTIN_TEACHERS,
  NotFound,
  NotReady,
  type TeacherRecord,
  type TeacherRequest,
  teacherMemoryBytes,
} from '#experiment';
import { keys, type ObjectStore } from '#storage';
import { urlFor } from '../artifacts/artifact-url.js';
import { STORE } from '../connections.js';
import { CorporaService } from '../corpora/corpora.service.js';
import type { PreparationView, UnreadyItem } from '../preparations/preparation-view.js';
import { PreparationsService } from '../preparations/preparations.service.js';
import { mapLimited } from '../records/map-limited.js';
import { namesOrNone } from '../records/names.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';

export type TeacherListItem = ({ state: 'ready' } & TeacherRecord) | UnreadyItem;

/** Names listed in a "there is no such" sentence. */
const NAMES_SHOWN = 20;

@Injectable()
export class TeachersService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly records: RecordsService,
    private readonly preparations: PreparationsService,
    private readonly corpora: CorporaService,
  ) {}

  async start(request: TeacherRequest): Promise<PreparationView> {
    const { pool, requires } = request;
    const where = { ...(pool ? { pool } : {}), ...(requires ? { requires } : {}) };
    if (request.kind === 'builtin') {
      const { builtin } = request;
      return this.preparations.ask({ kind: 'teacher', name: builtin, builtin }, undefined, where);
    }
    const { name, corpus, training } = request;
    const record = await this.corpora.resolve(corpus);
    const placement = { ...where, memoryBytes: teacherMemoryBytes(training, record) };
    return this.preparations.ask({ kind: 'teacher', name, corpusId: record.corpusId, training }, undefined, placement);
  }

  /** Teachers in the order of their ids; the first page begins with those that are not ready. */
  async list(page: PageRequest): Promise<Page<TeacherListItem>> {
    const isReady = async (name: string) => (await this.find(name)) !== undefined;
    const unready =
      page.cursor === undefined ? await this.preparations.unready('teacher', BUILTIN_TEACHERS, isReady) : [];
    const ready = await this.ready(page);
    return { ...ready, items: [...unready, ...ready.items] };
  }

  /** The teacher, or how far it has come. */
  async get(idOrName: string): Promise<TeacherRecord | PreparationView> {
    const teacher = await this.find(idOrName);
    if (teacher !== undefined) return teacher;
    const preparation = await this.preparations.unfinished('teacher', idOrName);
    if (preparation !== undefined) return preparation;
    throw await this.notFound(idOrName);
  }

  /** Where a teacher's file can be fetched without the API key, for an hour. */
  async artifactUrl(idOrName: string, name: string): Promise<string> {
    const teacher = await this.resolve(idOrName);
    const file = teacher.files.find((one) => one.name === name);
    if (file === undefined) {
      const names = teacher.files.map((one) => one.name).join(', ') || 'none';
      throw new NotFound(`Teacher ${JSON.stringify(idOrName)} has no file ${JSON.stringify(name)}; it has: ${names}.`);
    }
    return urlFor(this.store, file);
  }

  /** The teacher by id or name. Throws NotReady while it is being made and NotFound with what there is. */
  async resolve(idOrName: string): Promise<TeacherRecord> {
    const teacher = await this.find(idOrName);
    if (teacher !== undefined) return teacher;
    const preparation = await this.preparations.unfinished('teacher', idOrName);
    if (preparation?.status === 'failed') {
      throw new NotReady(
        `Teacher ${JSON.stringify(idOrName)} could not be made: ${preparation.failure?.reason ?? 'no reason is known'}. Ask for it again with POST /v1/teachers.`,
      );
    }
    if (preparation !== undefined) {
      const done = preparation.progress ? ` (${Math.round(preparation.progress.fraction * 100)} %)` : '';
      throw new NotReady(
        `Teacher ${JSON.stringify(idOrName)} is still being made${done}; GET /v1/preparations/${preparation.preparationId} tells when it is ready.`,
      );
    }
    throw await this.notFound(idOrName);
  }

  private async find(idOrName: string): Promise<TeacherRecord | undefined> {
    const named = await this.records.teacherIdNamed(idOrName);
    return (named === undefined ? undefined : await this.records.teacher(named)) ?? this.records.teacher(idOrName);
  }

  private ready(page: PageRequest): Promise<Page<{ state: 'ready' } & TeacherRecord>> {
    return this.records.page(keys.teachers(), 'teacher.json', page, (ids) =>
      mapLimited(ids, async (id) => {
        const record = await this.records.teacher(id);
        return record && { state: 'ready' as const, ...record };
      }),
    );
  }

  private async notFound(idOrName: string): Promise<NotFound> {
    const name = JSON.stringify(idOrName);
    if (BUILTIN_TEACHERS.some((builtin) => builtin === idOrName)) {
      return new NotFound(
        `Teacher ${name} has not been made yet; POST /v1/teachers with {"builtin": ${name}} makes it.`,
      );
    }
    const { items } = await this.ready({ limit: NAMES_SHOWN });
    const names = namesOrNone(items.map((teacher) => teacher.name));
    return new NotFound(
      `There is no teacher ${name}; there are: ${names}. POST /v1/teachers makes one, built in: ${BUILTIN_TEACHERS.join(', ')}.`,
    );
  }
}

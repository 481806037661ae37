import type { FilterObject } from "@mikro-orm/core";
import type { EntityManager, EntityName } from "@mikro-orm/sqlite";

/** Which rows. */
export interface RowQuery<Row extends object> {
  readonly where: FilterObject<Row>;
  readonly orderBy: { readonly [Property in keyof Row]?: "asc" | "desc" };
  readonly limit: number;
}

/**
 * Reads rows of one entity, with the values that an entity would have, and without relations. It stands beside MikroORM's own `find`, which
 * makes an entity of every row and took seven times as long, where many rows are read all the time.
 */
export async function readRows<Row extends object>(
  em: EntityManager,
  entity: EntityName<Row>,
  { where, orderBy, limit }: RowQuery<Row>,
): Promise<Row[]> {
  const query = em.createQueryBuilder(entity).where(where).orderBy(orderBy).limit(limit);
  const rows = await query.execute<Record<string, unknown>[]>("all");
  const platform = em.getPlatform();
  for (const { name, customType } of em.getMetadata().get(entity).props) {
    if (customType === undefined) continue;
    for (const row of rows) row[name] = customType.convertToJSValue(row[name], platform);
  }
  return rows as Row[];
}

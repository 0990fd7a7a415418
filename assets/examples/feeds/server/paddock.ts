/** How a permission stands: "prompt" has no answer yet. */
export type Standing = "granted" | "denied" | "prompt";

/** What Paddock gives a running app. It is absent when the module runs elsewhere, as in tests. */
declare global {
  var paddock: {
    readonly dataDir: string;
    readonly permissions: {
      query(permission: string): Promise<Standing>;
      request(permission: string): Promise<Standing>;
    };
  } | undefined;
}
